//! Goal: `ta help` and the reference say the same. Method: the parts of the page between marks are
//! made of the tables of this crate, and compared.
//!
//! `UPDATE_REFERENCE=1 cargo test -p tandem-words -p tandem-settings --test reference` writes them
//! anew; look at the difference before you commit it.

use std::fmt::Write as _;

use tandem_words::{Command, help};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/cli.md");

/// The table of commands, then the words around them, then what `ta help COMMAND` says beyond that.
fn commands() -> String {
    let mut text = "| command | what it does |\n| --- | --- |\n".to_owned();
    for command in Command::all() {
        let usage = command.usage().replace('|', "\\|");
        let others: Vec<String> =
            command.names()[1..].iter().map(|name| format!("`{name}`")).collect();
        let others = match others.is_empty() {
            true => String::new(),
            false => format!(" ({})", others.join(", ")),
        };
        let _ = writeln!(text, "| `ta {usage}`{others} | {} |", command.summary());
    }
    let _ = write!(text, "\n{}\n```text\n{}```\n", help::shortening(), help::WORDS);
    for command in Command::all() {
        let details = help::details(command);
        if !details.is_empty() {
            let _ = write!(text, "\n**{}**\n\n```text\n{details}```\n", command.name());
        }
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
fn the_page_of_commands_says_what_help_says() {
    let page = std::fs::read_to_string(PAGE).unwrap();
    let expected = with_part(&page, &commands());
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        std::fs::write(PAGE, &expected).unwrap();
    } else {
        assert_eq!(
            page, expected,
            "UPDATE_REFERENCE=1 cargo test -p tandem-words --test reference"
        );
    }
    for command in Command::all() {
        assert!(help::overview().contains(command.usage()), "{command:?}");
        assert!(help::about(command).contains(help::details(command)), "{command:?}");
    }
}
