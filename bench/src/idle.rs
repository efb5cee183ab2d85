//! A sync with nothing to do.

use std::path::Path;
use std::process::Command;

use crate::tools::{
    CLIENT, SECRET, Server, Tools, compare, folder, reference, run, ta, ta_http, write_tasks,
};

const ROUNDS: usize = 11;

pub(crate) fn directory(tools: &Tools) {
    for tasks in [100, 10_000] {
        let home = folder();
        prepare(tools, home.path(), tasks, |home| ta(tools, home));
        let server = home.path().join("server");
        let real = home.path().join("real");
        run(reference(tools, &real).arg("sync-local").arg(&server));
        let mut ours = Vec::new();
        let mut theirs = Vec::new();
        for _ in 0..ROUNDS {
            ours.push(run(ta(tools, home.path()).arg("sync")).0.ms);
            theirs.push(run(reference(tools, &real).arg("sync-local").arg(&server)).0.ms);
        }
        compare(
            &format!("nothing to do, directory, {tasks} pending tasks, whole process"),
            ours,
            theirs,
        );
    }
}

pub(crate) fn http(tools: &Tools) {
    for tasks in [100, 10_000] {
        let home = folder();
        let server = Server::start(tools, &home.path().join("store"));
        prepare(tools, home.path(), tasks, |home| ta_http(tools, home, &server.url));
        let real = home.path().join("real");
        let sync = |real: &Path| {
            let mut command = reference(tools, real);
            command.args(["sync-http", &server.url, CLIENT, SECRET]);
            command
        };
        run(&mut sync(&real));
        let mut ours = Vec::new();
        let mut theirs = Vec::new();
        for _ in 0..ROUNDS {
            ours.push(run(ta_http(tools, home.path(), &server.url).arg("sync")).0.ms);
            theirs.push(run(&mut sync(&real)).0.ms);
        }
        compare(
            &format!("nothing to do, plain HTTP, {tasks} pending tasks, whole process"),
            ours,
            theirs,
        );
    }
}

/// Over TLS, against a server that only says what a server with nothing new says: what is measured
/// is our process with its handshake. The reference's TLS cannot be given a certificate authority.
pub(crate) fn tls(tools: &Tools) {
    let home = folder();
    let server = crate::tls::Server::start(home.path());
    let with_tls = |home: &Path| {
        let mut command = ta_http(tools, home, &server.url);
        command.env("TA_CA_FILE", &server.ca_file);
        command
    };
    prepare(tools, home.path(), 10_000, with_tls);
    let ours = (0..ROUNDS).map(|_| run(with_tls(home.path()).arg("sync")).0.ms).collect();
    crate::tools::alone("nothing to do, HTTPS, 10,000 pending tasks, whole process", ours);
}

fn prepare(_tools: &Tools, home: &Path, tasks: usize, mut ta: impl FnMut(&Path) -> Command) {
    let list = home.join("list.json");
    write_tasks(&list, tasks, tasks);
    run(ta(home).arg("import").arg(&list));
    run(ta(home).arg("sync"));
}
