//! The server beside the reference's, request by request.

use std::path::Path;
use std::time::Duration;

use crate::bare::Bare;
use crate::line::{Line, NIL, Rounds, Storm, client};
use crate::local;
use crate::serving::Serving;
use crate::tools::{Spread, Tools, folder};

const ROUNDS: usize = 5;
const LENGTH: Duration = Duration::from_millis(1500);

/// A writer of one client, and the version after which it goes on.
struct Writer {
    line: Line,
    parent: String,
}

fn writers(address: &str, count: usize, round: usize) -> Storm {
    let begin = |number: usize| {
        let client = client(round * 1000 + number);
        let mut line = Line::to(address, &client);
        // The first version makes the client: that is not what is measured.
        let parent = line.add(NIL, &[7; 300]).version.unwrap();
        Writer { line, parent }
    };
    Storm::run(count, LENGTH, begin, |writer| {
        let answer = writer.line.add(&writer.parent, &[7; 300]);
        assert_eq!(answer.status, 200);
        writer.parent = answer.version.unwrap();
    })
}

/// The same requests to a handler that reads none of them: what HTTP alone costs.
fn senders(address: &str, count: usize) -> Storm {
    Storm::run(
        count,
        LENGTH,
        |number| Line::to(address, &client(number)),
        |line| assert_eq!(line.add(NIL, &[7; 300]).status, 200),
    )
}

/// AddVersion of 300 bytes, each writer with a client of its own, beside bare SQLite and bare HTTP.
pub(crate) fn add_version(tools: &Tools) {
    local::fsync(tools);
    let home = folder();
    let ours = Serving::ours(tools, &home.path().join("ours"));
    let reference = Serving::reference(tools, &home.path().join("reference"));
    let mut bare = Bare::open(&home.path().join("bare.sqlite3"));
    let empty = Serving::empty(0);
    for count in [1, 8, 32] {
        let (mut rounds, mut alone) = (Rounds::default(), Vec::new());
        for round in 0..ROUNDS {
            let round = count * 100 + round;
            rounds.push("ours", ours.under(|it| writers(it, count, round)));
            rounds.push("reference", reference.under(|it| writers(it, count, round)));
            rounds.push("empty handler", empty.under(|it| senders(it, count)));
            alone.push(bare.rate(count, LENGTH));
        }
        rounds.print(&format!("AddVersion of 300 bytes, {count} writers"));
        println!("  bare SQLite, {count} rows a commit [rows/s] {}", Spread::of(alone));
    }
    local::fsync(tools);
}

/// A history of `count` versions of so many bytes; the parents of all of them.
fn history(address: &str, client: &str, count: usize, bytes: usize) -> Vec<String> {
    let mut line = Line::to(address, client);
    let mut row = vec![NIL.to_owned()];
    for _ in 0..count {
        let parent = &row[row.len() - 1];
        row.push(line.add(parent, &vec![7; bytes]).version.unwrap());
    }
    row
}

/// A reader that goes round through a history.
struct Reader<'a> {
    line: Line,
    parents: &'a [String],
    next: usize,
}

fn readers(address: &str, client: &str, parents: &[String], status: u16, bytes: usize) -> Storm {
    let begin = |number: usize| {
        let line = Line::to(address, client);
        Reader { line, parents, next: number * 7 }
    };
    Storm::run(8, LENGTH, begin, |reader| {
        let parent = &reader.parents[reader.next % reader.parents.len()];
        reader.next += 1;
        let answer = reader.line.child(parent);
        assert!(answer.status == status && (status != 200 || answer.bytes == bytes), "{answer:?}");
    })
}

/// GetChildVersion at 8 connections, beside an empty handler; and the 404 of a sync with nothing to do.
pub(crate) fn get_child(tools: &Tools) {
    for (count, bytes) in [(200, 300), (20, 1_000_000)] {
        let home = folder();
        let ours = Serving::ours(tools, &home.path().join("ours"));
        let reference = Serving::reference(tools, &home.path().join("reference"));
        let empty = Serving::empty(bytes);
        let client = client(1);
        let our_row = history(&ours.address, &client, count, bytes);
        let their_row = history(&reference.address, &client, count, bytes);
        let (mut rounds, mut idle) = (Rounds::default(), Rounds::default());
        for _ in 0..ROUNDS {
            let found = |server: &Serving, row: &[String]| {
                server.under(|it| readers(it, &client, &row[..count], 200, bytes))
            };
            let missing = |server: &Serving, row: &[String]| {
                server.under(|it| readers(it, &client, &row[count..], 404, 0))
            };
            rounds.push("ours", found(&ours, &our_row));
            rounds.push("reference", found(&reference, &their_row));
            rounds.push("empty handler", found(&empty, &our_row));
            idle.push("ours", missing(&ours, &our_row));
            idle.push("reference", missing(&reference, &their_row));
        }
        rounds.print(&format!("GetChildVersion of {bytes} bytes, 8 connections"));
        if bytes == 300 {
            idle.print("the 404 of a sync with nothing to do, 8 connections");
        }
        let ((_, ours), (_, reference)) = (ours.memory_mb(), reference.memory_mb());
        println!("  peak memory [MB]: ours {ours:.1}, reference {reference:.1}");
    }
}

/// Start and memory of a server that has nothing to do.
pub(crate) fn idle(tools: &Tools) {
    let home = folder();
    let at = |name: &str| home.path().join(name);
    let show = |who: &str, start: &dyn Fn(&Path) -> Serving| {
        let (mut starts, mut memory) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let serving = start(&at(who));
            let mut line = Line::to(&serving.address, &client(1));
            line.child(NIL);
            starts.push(serving.start_ms);
            memory.push(serving.memory_mb().0);
        }
        println!("{who}: start [ms] {}", Spread::of(starts));
        println!("{who}: idle memory after one request [MB] {}", Spread::of(memory));
    };
    show("ours", &|folder| Serving::ours(tools, folder));
    show("reference", &|folder| Serving::reference(tools, folder));
}
