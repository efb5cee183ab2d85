use proptest::prelude::*;

use super::*;
use crate::testing::words;

fn taken_apart(line: &str) -> String {
    match parse(&words(line)) {
        Ok(line) => {
            format!("{} [{}] [{}]", line.command.name(), line.filter.join(" "), line.rest.join(" "))
        }
        Err(error) => format!("{error}"),
    }
}

#[test]
fn every_command_has_one_entry_and_one_name() {
    for command in Command::all() {
        assert_eq!(Command::find(command.name()), Ok(Some(command)));
        assert!(!command.summary().is_empty() && command.usage().contains(command.name()));
    }
    // The last variant: no command was forgotten in the list.
    assert_eq!(Command::all().count(), Command::Demo as usize + 1);
}

#[test]
fn lines_are_taken_apart() {
    for (line, expected) in [
        ("", "next [] []"),
        ("add buy milk +home", "add [] [buy milk +home]"),
        ("add list of things to do", "add [] [list of things to do]"),
        ("3 modify project:home", "modify [3] [project:home]"),
        ("3 mod list the shelves", "modify [3] [list the shelves]"),
        ("3 done -- 4", "done [3] [-- 4]"),
        ("3 done 4 left", "done [3] [4 left]"),
        ("+home project:x done", "done [+home project:x] []"),
        ("3 del", "delete [3] []"),
        ("3 done -- --json +x", "done [3] [-- --json +x]"),
        ("all done", "done [all] []"),
        ("list +home", "list [+home] []"),
        ("garden list +home --json", "list [garden +home] [--json]"),
        ("ls", "list [] []"),
        ("list -- --json add", "list [-- --json add] []"),
        ("-- list", "next [-- list] []"),
        ("info 3", "info [3] []"),
        ("3 info", "info [3] []"),
        ("history 3", "history [3] []"),
        ("export --pretty", "export [] [--pretty]"),
        ("12", "info [12] []"),
        ("12 --json", "info [12] [--json]"),
        ("56e0be07", "info [56e0be07] []"),
        ("12345678", "info [12345678] []"),
        ("56e0be07-c61f", "info [56e0be07-c61f] []"),
        ("1,2", "next [1,2] []"),
        ("5-7", "next [5-7] []"),
        ("+home", "next [+home] []"),
        ("call mom", "next [call mom] []"),
        ("lost keys", "next [lost keys] []"),
        ("+home lost keys", "next [+home lost keys] []"),
        // Alone, before other words and before a flag: nobody would miss the sync otherwise.
        ("snyc", "`snyc` is no command"),
        ("snyc --quiet", "`snyc` is no command"),
        ("exprot", "`exprot` is no command"),
        ("improt x.json", "`improt` is no command"),
        ("confg list", "`confg` is no command"),
        ("confg set data_dir x", "`confg` is no command"),
        ("lsit", "`lsit` is no command"),
        ("lst +home", "`lst` is no command"),
        ("modfy done", "`modfy` is no command"),
        ("-- snyc", "next [-- snyc] []"),
        ("list snyc", "list [snyc] []"),
        ("notes of the talk", "next [notes of the talk] []"),
        ("logs", "next [logs] []"),
        // Help is asked for by who does not know yet what a command needs.
        ("done --help", "help [] [done]"),
        ("info --help", "help [] [info]"),
        ("history -h", "help [] [history]"),
        ("3 done -h", "help [] [done]"),
        ("3 done --help", "help [] [done]"),
        ("3 done later -h", "done [3] [later -h]"),
        ("add -- --help", "add [] [-- --help]"),
        ("3 sync --help", "help [] [sync]"),
        ("3 modify see /etc/hosts", "modify [3] [see /etc/hosts]"),
        ("3 modify buy 3 + 1", "modify [3] [buy 3 + 1]"),
        ("3 modify -- +1", "modify [3] [-- +1]"),
        ("3 modify +a -b", "modify [3] [+a -b]"),
        ("3 modify -- /a/b/", "modify [3] [-- /a/b/]"),
        ("limit:3 list", "list [limit:3] []"),
        ("limit:3", "next [limit:3] []"),
        ("count -- limit:3", "count [-- limit:3] []"),
        ("3 -- doen", "next [3 -- doen] []"),
        ("3 doen", "`doen` is no command"),
        ("1,2 modfy project:home", "`modfy` is no command"),
        ("doen 3", "`doen` is no command"),
        ("undoo 56e0be07", "`undoo` is no command"),
        ("--json", "next [] [--json]"),
        ("sync --json --quiet", "sync [] [--json --quiet]"),
        ("config set data_dir /x", "config [] [set data_dir /x]"),
        ("import - --taskrc x", "import [] [- --taskrc x]"),
        ("--version", "version [] []"),
        ("-h", "help [] []"),
        ("help add", "help [] [add]"),
        ("conf list", "`conf` could be any of conflicts, config"),
    ] {
        assert_eq!(taken_apart(line), expected, "{line}");
    }
}

#[test]
fn refusals_name_the_word_and_the_cure() {
    for (line, error, hint) in [
        ("done", "`done` needs to know which tasks", "Say which before the command, for example"),
        (
            "done 3 4",
            "`done` needs to know which tasks",
            "Ids stand before the command: `ta 3 4 done`.",
        ),
        (
            "mod 3 +x",
            "`modify` needs to know which tasks",
            "Ids stand before the command: `ta 3 modify +x`.",
        ),
        (
            "3 done 4 5",
            "`4` stands after `done`, where it would become a note",
            "Put all ids before",
        ),
        ("info", "`info` needs to know which tasks", "Say which"),
        ("3 undo", "`undo` is not about chosen tasks, but `3` stands before it", "Leave out"),
        (
            "+home add x",
            "`add` is not about chosen tasks, but `+home` stands before it",
            "Leave out",
        ),
        (
            "--json list",
            "`--json` stands before the command `list`",
            "Flags of a command stand after it",
        ),
        ("limit:3 count", "`count` cannot be limited, as `limit:3` asks", "`next`, `list`,"),
        ("limit:3 done", "`done` cannot be limited, as `limit:3` asks", "`next`, `list`,"),
        ("3 modify /milk/honey/", "`/milk/honey/` is not supported yet", "Write the whole"),
        ("3 modify x /milk/honey/g", "`/milk/honey/g` is not supported yet", "Write the whole"),
        (
            "--server_dir=x list",
            "`--server_dir` stands before the command `list`",
            "Settings are no flags",
        ),
        (
            "3 modify +1",
            "`+1` is not a tag that can be given: it is not one word that begins with a letter",
            "A tag is one word",
        ),
        (
            "3 modify + project:x",
            "`+` is not a tag that can be given: it is not one word that begins with a letter",
            "A tag is one word",
        ),
        ("sta", "`sta` could be any of start, status", "Write the command in full."),
    ] {
        let refused = parse(&words(line)).unwrap_err();
        assert_eq!(refused.to_string(), error, "{line}");
        assert!(refused.hint().starts_with(hint), "{line}: {}", refused.hint());
    }
}

#[test]
fn a_command_of_taskwarrior_beside_an_id_is_no_search() {
    for (line, refused) in [
        ("3 edit", Some("edit")),
        ("3 dup", Some("dup")),
        ("1,2 purge", Some("purge")),
        ("undelete 3", Some("undelete")),
        ("edit", None),
        ("edit the film", None),
        ("3 -- edit", None),
        ("add edit 3", None),
        ("3 ed", None),
    ] {
        let found = match parse(&words(line)) {
            Err(WordsError::NotBuilt { word, .. }) => Some(word),
            Err(other) => panic!("{line}: {other}"),
            Ok(_) => None,
        };
        assert_eq!(found.as_deref(), refused, "{line}");
    }
}

#[test]
fn a_search_that_found_nothing_may_have_been_a_command() {
    for (line, command) in [
        ("lost", Some("list")),
        ("lost keys", Some("list")),
        ("ecport --json", Some("export")),
        ("my lost keys", None),
        ("list lost", None),
        ("-- lost", None),
        ("garden", None),
    ] {
        let missed = parse(&words(line)).unwrap().missed_command();
        let expected = command.map(|command| WordsError::NearlyCommand {
            word: line.split(' ').next().unwrap().into(),
            command,
        });
        assert_eq!(missed, expected, "{line}");
    }
}

#[test]
fn commands_that_act_on_everything_are_written_in_full() {
    for word in ["und", "imp", "syn", "dem", "g", "ad", "do", "li"] {
        assert_eq!(Command::find(word), Ok(None), "{word}");
    }
    for (word, command) in [
        ("del", Command::Delete),
        ("don", Command::Done),
        ("mod", Command::Modify),
        ("ann", Command::Annotate),
        ("inf", Command::Info),
        ("inform", Command::Info),
        ("his", Command::History),
        ("lis", Command::List),
        ("star", Command::Start),
        ("stat", Command::Status),
    ] {
        assert_eq!(Command::find(word), Ok(Some(command)), "{word}");
    }
}

#[test]
fn a_slip_is_recognised() {
    for (word, command) in [
        ("doen", Some(Command::Done)),
        ("dome", Some(Command::Done)),
        ("lst", Some(Command::List)),
        ("modifyy", Some(Command::Modify)),
        ("adn", Some(Command::Add)),
        ("garden", None),
        ("ad", None),
    ] {
        assert_eq!(Command::nearest(word), command, "{word}");
    }
}

proptest! {
    #[test]
    fn no_line_panics(words in prop::collection::vec("\\PC{0,8}|list|done|add|--|[0-9,-]{1,9}", 0..6)) {
        let _ = parse(&words).map_err(|error| error.hint());
    }
}
