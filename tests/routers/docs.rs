//! `docs/routers.md`: its table and its code are what the routers declare and what a test runs.
//! `ROLLPROOF_UPDATE_DOCS=1` writes them.

use std::path::Path;

use rollproof::routers;

use super::fixture::Fixture;

const ADDED: &str = include_str!("added.rs");

#[test]
fn the_page_is_up_to_date() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/routers.md");
    let page = std::fs::read_to_string(&file).expect("docs/routers.md");
    let (_, example) = ADDED
        .split_once("// example begins\n")
        .expect("a beginning");
    let (example, _) = example.split_once("// example ends").expect("an end");
    let mut wanted = with_section(&page, "table", &table());
    wanted = with_section(&wanted, "limits", &limits());
    wanted = with_section(&wanted, "example", &format!("```rust\n{example}```\n"));
    if std::env::var_os("ROLLPROOF_UPDATE_DOCS").is_some() {
        std::fs::write(&file, &wanted).expect("the page can be written");
        return;
    }
    assert!(
        page == wanted,
        "docs/routers.md is out of date: run with ROLLPROOF_UPDATE_DOCS=1"
    );
}

fn with_section(page: &str, name: &str, text: &str) -> String {
    let (begin, end) = (
        format!("<!-- {name} -->\n"),
        format!("<!-- end of {name} -->"),
    );
    let (before, rest) = page
        .split_once(&begin)
        .unwrap_or_else(|| panic!("no {begin}"));
    let (_, after) = rest.split_once(&end).unwrap_or_else(|| panic!("no {end}"));
    format!("{before}{begin}{text}{end}{after}")
}

fn table() -> String {
    let mut table = String::from(
        "| router | field of `trafficRouting` | header routes | mirror routes | experiment weights | ping-pong | `maxTrafficWeight` | verifies weights | services have to be named |\n|---|---|---|---|---|---|---|---|---|\n",
    );
    let word = |is_so: bool| if is_so { "yes" } else { "no" };
    for facts in routers::facts() {
        let cells = [
            facts.name.to_owned(),
            format!("`{}`", facts.field),
            word(facts.header_routes).to_owned(),
            word(facts.mirror_routes).to_owned(),
            word(facts.experiment_weights).to_owned(),
            word(facts.ping_pong).to_owned(),
            word(facts.max_traffic_weight).to_owned(),
            word(facts.verifies_weights).to_owned(),
            word(facts.needs_services).to_owned(),
        ];
        table.push_str(&format!("| {} |\n", cells.join(" | ")));
    }
    table
}

fn limits() -> String {
    let mut text = String::new();
    for facts in routers::facts() {
        text.push_str(&format!("### {}\n\n", facts.name));
        for limit in facts.limits {
            text.push_str(&format!("- {limit}\n"));
        }
        text.push_str("\nReads, watches and changes:\n\n");
        for kind in facts.kinds {
            text.push_str(&format!(
                "- `{}` of `{}` ({}): {}\n",
                kind.resource,
                kind.group,
                kind.version,
                kind.verbs.join(", ")
            ));
        }
        text.push('\n');
    }
    text
}

/// Every route of the page is split by the Rollout of the page.
#[test]
fn examples_of_gateway_api() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/routers.md");
    let page = std::fs::read_to_string(file).expect("docs/routers.md");
    let blocks: Vec<&str> = page
        .split("```yaml\n")
        .skip(1)
        .filter_map(|rest| rest.split_once("```").map(|(block, _)| block))
        .collect();
    let rollout = blocks
        .iter()
        .find(|block| block.contains("kind: Rollout"))
        .expect("a Rollout on the page");
    let routes = blocks
        .iter()
        .filter(|block| block.contains("kind: HTTPRoute"));
    let mut count = 0;
    for route in routes {
        count += 1;
        let mut fixture = Fixture::of("docs", &format!("{route}---\n{rollout}"));
        let wanted = super::split(&fixture, 20, None, true);
        super::write(&mut fixture, &wanted);
        let read = fixture.router().read(&fixture.rollout, &fixture.objects);
        assert_eq!(read, Ok(wanted), "{route}");
    }
    assert_eq!(count, 6);
}
