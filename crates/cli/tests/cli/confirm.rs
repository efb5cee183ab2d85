//! Changing many tasks at once: asked on a terminal, and only there.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::process::Stdio;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::home::{Ran, TestHome, assert_says};

fn home_with_four() -> TestHome {
    let home = TestHome::new();
    for description in ["one", "two", "three", "four"] {
        home.add(description);
    }
    home
}

/// Runs `ta` with a terminal as its standard input, at which somebody types `typed`.
fn at_a_terminal(home: &TestHome, words: &[&str], typed: &str) -> Ran {
    let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&controller).unwrap();
    unlockpt(&controller).unwrap();
    let name = ptsname(&controller, Vec::new()).unwrap().into_string().unwrap();
    let terminal = OpenOptions::new().read(true).write(true).open(name).unwrap();
    let mut person = File::from(controller);
    // Typed ahead; the terminal keeps it until it is read.
    person.write_all(typed.as_bytes()).unwrap();
    let mut command = home.command(words);
    command.stdin(terminal).stdout(Stdio::piped()).stderr(Stdio::piped());
    home.ended(command.spawn().unwrap(), &format!("{words:?}"))
}

/// What was said to somebody who did not say yes. (The end of the line was typed, and shown by the
/// terminal, so the error does not begin a line of standard error here.)
fn refused(ran: Ran) -> String {
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""), "{ran:?}");
    ran.err
}

fn done(home: &TestHome) -> usize {
    home.state().values().filter(|task| task["status"] == "completed").count()
}

#[test]
fn more_than_three_tasks_are_changed_after_a_yes_only() {
    let home = home_with_four();
    for no in ["no\n", "\n", "maybe\n", "\u{4}"] {
        let told = refused(at_a_terminal(&home, &["all", "done"], no));
        assert_says(
            &told,
            &["This would complete 4 tasks", "1 \"one\"", "nothing was changed", "--yes"],
        );
        assert_eq!(done(&home), 0, "{no:?}");
    }
    let (out, question) = at_a_terminal(&home, &["all", "done"], "yes\n").done_with_notices();
    assert_says(&question, &["Go on?"]);
    assert_says(&out, &["Completed task 4"]);
    assert_eq!(done(&home), 4);
}

#[test]
fn nobody_is_asked_about_few_tasks_without_a_terminal_or_when_told_so() {
    let home = home_with_four();
    at_a_terminal(&home, &["1-3", "modify", "project:home"], "").done();
    // Only what would be different counts.
    at_a_terminal(&home, &["all", "modify", "project:home"], "").done();
    at_a_terminal(&home, &["all", "modify", "project:work", "--yes"], "").done();
    home.ta(&["all", "modify", "project:cron"]).done();
    let home = home.with("TA_CONFIRM_MORE_THAN", "0");
    at_a_terminal(&home, &["all", "modify", "project:never"], "").done();
    let home = home.with("TA_CONFIRM_MORE_THAN", "1");
    let told = refused(at_a_terminal(&home, &["1,2", "modify", "project:two"], "no\n"));
    assert_says(&told, &["This would modify 2 tasks"]);
    assert!(home.state().values().all(|task| task["project"] == "never"));
}

#[test]
fn what_comes_to_match_while_a_person_thinks_is_left_alone() {
    let home = home_with_four();
    let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&controller).unwrap();
    unlockpt(&controller).unwrap();
    let name = ptsname(&controller, Vec::new()).unwrap().into_string().unwrap();
    let terminal = OpenOptions::new().read(true).write(true).open(name).unwrap();
    let mut person = File::from(controller);
    let mut command = home.command(&["all", "done"]);
    command.stdin(terminal).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // The question has been asked when its end can be read; nobody else waits for the answer.
    let mut question = child.stderr.take().unwrap();
    let mut read = Vec::new();
    while !read.ends_with(b"(yes/no) ") {
        let mut byte = [0];
        assert_eq!(std::io::Read::read(&mut question, &mut byte).unwrap(), 1);
        read.push(byte[0]);
    }
    home.add("five");
    person.write_all(b"yes\n").unwrap();
    home.ended(child, "all done").done();
    assert_eq!((done(&home), home.state().len()), (4, 5));
}

#[test]
fn no_command_changes_anything_without_a_filter_and_an_empty_word_is_none() {
    let home = home_with_four();
    for command in ["modify", "annotate", "start", "stop", "done", "delete"] {
        for before in [&[][..], &[""], &[" ", ""]] {
            let mut words = before.to_vec();
            words.extend([command, "x"]);
            assert_says(&home.ta(&words).failed(2), &["needs to know which tasks"]);
        }
    }
    assert_eq!(home.descriptions(), ["four", "one", "three", "two"]);
}
