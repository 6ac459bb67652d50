//! Syntax of names, keys and values (`apimachinery` `util/validation`). Each check returns the
//! reference's messages, none if the text is well-formed.

const NAME_RULE: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";
const NAME_PATTERN: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
const DNS_LABEL_PATTERN: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const NAME_LENGTH_LIMIT: usize = 63;
const SUBDOMAIN_LENGTH_LIMIT: usize = 253;

/// `name` or `prefix/name`, as for label keys.
pub(crate) fn qualified_name(text: &str) -> Vec<String> {
    let examples = || {
        format!(
            "(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '{NAME_PATTERN}')"
        )
    };
    let mut errors = Vec::new();
    let parts: Vec<&str> = text.split('/').collect();
    let name = match parts[..] {
        [name] => name,
        [prefix, name] => {
            if prefix.is_empty() {
                errors.push("prefix part must be non-empty".to_string());
            } else {
                errors.extend(
                    dns_subdomain(prefix)
                        .into_iter()
                        .map(|error| format!("prefix part {error}")),
                );
            }
            name
        }
        _ => {
            return vec![format!(
                "a qualified name {NAME_RULE} {} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')",
                examples()
            )];
        }
    };
    if name.is_empty() {
        errors.push("name part must be non-empty".into());
    } else if name.len() > NAME_LENGTH_LIMIT {
        errors.push(format!("name part {}", too_long(NAME_LENGTH_LIMIT)));
    }
    if !is_name(name) {
        errors.push(format!("name part {NAME_RULE} {}", examples()));
    }
    errors
}

pub(crate) fn label_value(text: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if text.len() > NAME_LENGTH_LIMIT {
        errors.push(too_long(NAME_LENGTH_LIMIT));
    }
    if !text.is_empty() && !is_name(text) {
        errors.push(format!(
            "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '({NAME_PATTERN})?')"
        ));
    }
    errors
}

/// RFC 1123 label.
pub(crate) fn dns_label(text: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if text.len() > NAME_LENGTH_LIMIT {
        errors.push(too_long(NAME_LENGTH_LIMIT));
    }
    if !is_dns_label(text) {
        errors.push(if text.split('.').all(is_dns_label) {
            "must not contain dots".into()
        } else {
            format!(
                "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '{DNS_LABEL_PATTERN}')"
            )
        });
    }
    errors
}

/// RFC 1123 subdomain.
pub(crate) fn dns_subdomain(text: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if text.len() > SUBDOMAIN_LENGTH_LIMIT {
        errors.push(too_long(SUBDOMAIN_LENGTH_LIMIT));
    }
    if !text.split('.').all(is_dns_label) {
        errors.push(format!(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '{DNS_LABEL_PATTERN}(\\.{DNS_LABEL_PATTERN})*')"
        ));
    }
    errors
}

pub(crate) fn environment_variable(text: &str) -> Vec<String> {
    let is_well_formed = !text.is_empty()
        && !text.starts_with(|c: char| c.is_ascii_digit())
        && text.bytes().all(is_key_byte);
    let mut errors = Vec::new();
    if !is_well_formed {
        errors.push("a valid environment variable name must consist of alphabetic characters, digits, '_', '-', or '.', and must not start with a digit (e.g. 'my.env-name',  or 'MY_ENV.NAME',  or 'MyEnvName1', regex used for validation is '[-._a-zA-Z][-._a-zA-Z0-9]*')".into());
    }
    errors.extend(parent_directory(text));
    errors
}

/// Name of a variable in a file.
pub(crate) fn relaxed_environment_variable(text: &str) -> Vec<String> {
    let is_well_formed = text
        .bytes()
        .all(|byte| (b' '..=b'~').contains(&byte) && byte != b'=');
    if is_well_formed {
        return Vec::new();
    }
    vec!["a valid environment variable name must consist only of printable ASCII characters other than '='".into()]
}

/// Key of a ConfigMap or Secret.
pub(crate) fn config_map_key(text: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if text.len() > SUBDOMAIN_LENGTH_LIMIT {
        errors.push(too_long(SUBDOMAIN_LENGTH_LIMIT));
    }
    if text.is_empty() || !text.bytes().all(is_key_byte) {
        errors.push("a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')".into());
    }
    errors.extend(parent_directory(text));
    errors
}

pub(crate) fn port_name(text: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if text.len() > 15 {
        errors.push(too_long(15));
    }
    if text.is_empty() || !text.bytes().all(|b| is_dns_byte(b) || b == b'-') {
        errors
            .push("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)".into());
    }
    if !text.bytes().any(|b| b.is_ascii_lowercase()) {
        errors.push("must contain at least one letter (a-z)".into());
    }
    if text.contains("--") {
        errors.push("must not contain consecutive hyphens".into());
    }
    if text.starts_with('-') || text.ends_with('-') {
        errors.push("must not begin or end with a hyphen".into());
    }
    errors
}

pub(crate) fn port_number(port: i64) -> Option<String> {
    in_range(port, 1, 65535)
}

/// User or group id.
pub(crate) fn user_id(id: i64) -> Option<String> {
    in_range(id, 0, i64::from(i32::MAX))
}

pub(crate) fn in_range(value: i64, low: i64, high: i64) -> Option<String> {
    (value < low || value > high).then(|| format!("must be between {low} and {high}, inclusive"))
}

pub(crate) fn http_header_name(text: &str) -> Option<String> {
    let is_well_formed =
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    (!is_well_formed).then(|| {
        "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')".into()
    })
}

/// Digits and `%`.
pub(crate) fn is_percent(text: &str) -> bool {
    text.strip_suffix('%')
        .is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
}

/// `must be no more than N characters`.
pub(crate) fn too_long(limit: usize) -> String {
    format!("must be no more than {limit} characters")
}

fn parent_directory(text: &str) -> Option<String> {
    match text {
        "." => Some("must not be '.'".into()),
        ".." => Some("must not be '..'".into()),
        _ if text.starts_with("..") => Some("must not start with '..'".into()),
        _ => None,
    }
}

fn is_name(text: &str) -> bool {
    let is_alphanumeric = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    is_alphanumeric(bytes.first())
        && is_alphanumeric(bytes.last())
        && bytes.iter().copied().all(is_key_byte)
}

fn is_dns_label(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.first().copied().is_some_and(is_dns_byte)
        && bytes.last().copied().is_some_and(is_dns_byte)
        && bytes.iter().all(|b| is_dns_byte(*b) || *b == b'-')
}

fn is_dns_byte(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

fn is_key_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}
