//! The pages of reports/ in a real browser: nothing is asked of any network, nothing is said on the console, light and
//! dark differ, 360 px are wide enough, and they print. Needs Chromium (or Chrome); skipped where it is absent.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const BROWSERS: [&str; 4] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
];

fn pages() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("reports");
    let entries = std::fs::read_dir(folder).expect("reports/");
    let mut pages: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "html"))
        .collect();
    pages.sort();
    assert!(!pages.is_empty(), "there are no pages in reports/");
    pages
}

/// None where there is no browser.
fn browser() -> Option<&'static str> {
    let found = BROWSERS.into_iter().find(|name| {
        let output = Command::new(name).arg("--version").output();
        output.is_ok_and(|output| output.status.success())
    });
    if found.is_none() {
        println!("skipped: there is no Chromium");
    }
    found
}

fn browse(browser: &str, name: &str, arguments: &[String]) -> Output {
    let profile = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("browser-{name}"));
    let _ = std::fs::remove_dir_all(&profile);
    let output = Command::new(browser)
        .args([
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-default-apps",
            "--no-first-run",
            "--allow-file-access-from-files",
            "--enable-logging=stderr",
            "--virtual-time-budget=10000",
        ])
        .arg(format!("--user-data-dir={}", profile.display()))
        .args(arguments)
        .output()
        .expect("the browser starts");
    let _ = std::fs::remove_dir_all(&profile);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// A page that shows another one 360 px wide, and says what it is like there.
fn probe(page: &Path, name: &str) -> String {
    let html = format!(
        "<!doctype html><html><body style=\"margin:0\">
<iframe id=\"f\" src=\"file://{}\" style=\"width:360px;height:800px;border:0\"></iframe>
<pre id=\"out\"></pre>
<script>
document.getElementById('f').onload = function () {{
  const frame = document.getElementById('f');
  const inner = frame.contentDocument;
  const root = inner.documentElement;
  const style = frame.contentWindow.getComputedStyle(inner.body);
  const first = inner.querySelector('h1').getBoundingClientRect();
  const asked = frame.contentWindow.performance.getEntriesByType('resource').map(it => it.name);
  document.getElementById('out').textContent = 'PROBE ' + JSON.stringify({{
    scrollWidth: root.scrollWidth, clientWidth: root.clientWidth, background: style.backgroundColor,
    ink: style.color, verdictEnd: first.bottom, pictures: inner.querySelectorAll('svg').length,
    unnamed: [...inner.querySelectorAll('svg')].filter(it => !it.closest('[role=img][aria-label]')).length,
    scripts: inner.scripts.length, asked: asked,
  }}) + ' END';
}};
</script></body></html>",
        page.display()
    );
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("probe-{name}.html"));
    std::fs::write(&path, html).expect("written");
    format!("file://{}", path.display())
}

fn probed(browser: &str, page: &Path, is_dark: bool) -> serde_json::Value {
    let stem = page.file_stem().expect("a name").to_string_lossy();
    let name = format!("{stem}-{}", if is_dark { "dark" } else { "light" });
    let arguments = [
        // 0 is dark, 1 is light.
        format!(
            "--blink-settings=preferredColorScheme={}",
            if is_dark { 0 } else { 1 }
        ),
        "--dump-dom".to_owned(),
        probe(page, &name),
    ];
    let output = browse(browser, &name, &arguments);
    let log = String::from_utf8_lossy(&output.stderr);
    let console: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("CONSOLE"))
        .collect();
    assert!(console.is_empty(), "{name}: {console:?}");
    let text = String::from_utf8_lossy(&output.stdout);
    let found = text
        .split_once("PROBE ")
        .and_then(|(_, rest)| rest.split_once(" END"))
        .map(|(found, _)| found.replace("&quot;", "\"").replace("&amp;", "&"));
    let found = found.unwrap_or_else(|| panic!("{name}: no answer: {log}"));
    serde_json::from_str(&found).expect("json")
}

#[test]
fn pages_suit_phones_and_both_colour_schemes() {
    let Some(browser) = browser() else { return };
    for page in pages() {
        let light = probed(browser, &page, false);
        let dark = probed(browser, &page, true);
        for found in [&light, &dark] {
            let number = |name: &str| found[name].as_f64().unwrap_or(f64::NAN);
            let name = page.display();
            assert!(number("scrollWidth") <= 360.0, "{name}: {found}");
            assert!(
                number("verdictEnd") <= 800.0,
                "the verdict is on the first screen: {name}"
            );
            assert!(number("pictures") > 0.0, "{name}: {found}");
            assert_eq!(number("unnamed"), 0.0, "pictures have words: {name}");
            assert_eq!(number("scripts"), 0.0, "{name}");
            assert_eq!(found["asked"], serde_json::json!([]), "{name}");
        }
        assert_eq!(light["background"], "rgb(255, 255, 255)");
        assert_ne!(light["background"], dark["background"]);
        assert_ne!(light["ink"], dark["ink"]);
    }
}

#[test]
fn pages_print() {
    let Some(browser) = browser() else { return };
    for page in pages() {
        let stem = page.file_stem().expect("a name").to_string_lossy();
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{stem}.pdf"));
        let _ = std::fs::remove_file(&file);
        let arguments = [
            format!("--print-to-pdf={}", file.display()),
            format!("file://{}", page.display()),
        ];
        browse(browser, &format!("{stem}-print"), &arguments);
        let printed = std::fs::read(&file).expect("a file");
        assert!(
            printed.starts_with(b"%PDF") && printed.len() > 10_000,
            "{stem}"
        );
    }
}

#[test]
fn pages_refer_to_nothing_else() {
    for page in pages() {
        let text = std::fs::read_to_string(&page).expect("a page");
        let outside = text.replace("http://www.w3.org/2000/svg", "");
        for reference in ["<script", "<img", "url(", "@import", "href=\"http", "src="] {
            assert!(
                !outside.contains(reference),
                "{}: {reference}",
                page.display()
            );
        }
    }
}
