//! Goal: the reference lists the settings as the program knows them. Method: the part of the page
//! between marks is made of the table of keys, and compared.
//!
//! `UPDATE_REFERENCE=1 cargo test -p tandem-words -p tandem-settings --test reference` writes it
//! anew; look at the difference before you commit it.

use std::fmt::Write as _;

use tandem_settings::Key;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/config.md");
const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md");

fn keys() -> String {
    let mut text = "| key | variable | kind | default | what it is for |\n".to_owned();
    text.push_str("| --- | --- | --- | --- | --- |\n");
    for key in Key::ALL {
        let default = key.default_text().unwrap_or_else(|| "–".to_owned());
        let (kind, variable) = (key.kind(), key.variable());
        let _ = writeln!(text, "| `{key}` | `{variable}` | {kind} | {default} | {} |", key.help());
    }
    text
}

/// The page with `part` between its marks.
fn with_part(page: &str, part: &str) -> String {
    let (begin, end) = ("<!-- made from the code: begin -->\n", "<!-- made from the code: end -->");
    let (before, rest) = page.split_once(begin).expect("the page has a mark");
    let (_, after) = rest.split_once(end).expect("the page has a second mark");
    format!("{before}{begin}\n{part}\n{end}{after}")
}

#[test]
fn the_page_of_settings_lists_every_key_as_it_is() {
    let page = std::fs::read_to_string(PAGE).unwrap();
    let expected = with_part(&page, &keys());
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        std::fs::write(PAGE, &expected).unwrap();
    } else {
        assert_eq!(
            page, expected,
            "UPDATE_REFERENCE=1 cargo test -p tandem-settings --test reference"
        );
    }
    let readme = std::fs::read_to_string(README).unwrap();
    for key in Key::ALL {
        assert!(readme.contains(&format!("`{key}`")), "{key} is missing in the README");
    }
}
