//! Commands that stay on this machine.

use std::io::Write as _;
use std::time::Instant;

use crate::tools::{Tools, alone, folder, run, ta, write_tasks};

/// What one fsync of a small write costs on this disk.
pub(crate) fn fsync(_: &Tools) {
    let home = folder();
    let mut file = std::fs::File::create(home.path().join("probe")).unwrap();
    let mut times = Vec::new();
    for _ in 0..50 {
        file.write_all(&[7; 4096]).unwrap();
        let began = Instant::now();
        file.sync_data().unwrap();
        times.push(began.elapsed().as_secs_f64() * 1e3);
    }
    alone("fsync of 4 kB", times);
}

/// `ta add` and `ta next`, whole processes.
pub(crate) fn edit(tools: &Tools) {
    for pending in [500, 10_000] {
        let home = folder();
        let list = home.path().join("list.json");
        write_tasks(&list, 10_000, pending);
        run(ta(tools, home.path()).arg("import").arg(&list));
        run(ta(tools, home.path()).arg("sync"));
        let mut next = Vec::new();
        let mut version = Vec::new();
        for _ in 0..21 {
            version.push(run(ta(tools, home.path()).arg("version")).0.ms);
            next.push(run(ta(tools, home.path()).arg("next")).0.ms);
        }
        alone("ta version, whole process (process start)", version);
        alone(&format!("ta next, {pending} pending of 10,000, whole process"), next);
        let mut add = Vec::new();
        for n in 0..21 {
            let mut command = ta(tools, home.path());
            command.args(["add", "buy", "milk", &format!("number {n}"), "due:tomorrow", "+home"]);
            add.push(run(&mut command).0.ms);
        }
        alone(&format!("ta add, {pending} pending of 10,000, whole process, fsync included"), add);
    }
}
