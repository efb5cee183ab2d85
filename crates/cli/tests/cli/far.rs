//! A replica that is far behind, at a server of ours.

use std::time::{Duration, SystemTime};

use crate::home::TestHome;
use crate::serve::{Serving, add};
use crate::server::{CLIENT_KEY, SECRET, sealed};

const VERSIONS: usize = 1000;

/// The requests in a server's log, without their ids.
fn requests(log: &str) -> Vec<&str> {
    let routes = ["get-child-version", "children", "head", "add-version", "snapshot"];
    log.lines().filter_map(|line| routes.into_iter().find(|it| line.contains(it))).collect()
}

/// Goal: a line with a long delay is waited for a few times, not once for each version.
/// Method: a thousand versions come from elsewhere; the server's log counts what a sync asks for.
/// With the connection itself this is one more than the requests.
#[test]
fn a_thousand_versions_are_two_requests_and_nothing_new_is_one() {
    let home = TestHome::new().with("RUST_LOG", "info");
    let serving = Serving::start(&home, &["--snapshot-versions", "100000"]);
    let replica = TestHome::new()
        .with("TA_SERVER_ORIGIN", format!("http://{}", serving.address))
        .with("TA_SERVER_CLIENT_KEY", CLIENT_KEY)
        .with("TA_ENCRYPTION_SECRET", SECRET);
    replica.add("milk");
    replica.ta(&["sync"]).done();
    let status = replica.ta(&["status", "--json"]).json();
    let mut parent = status["base_version"].as_str().unwrap().to_owned();
    let task = replica.uuid("milk");
    let seconds = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let later = seconds + Duration::from_secs(10);
    for number in 0..VERSIONS {
        let segment = format!(
            r#"{{"operations":[{{"Update":{{"uuid":"{task}","property":"count","value":"{number}","timestamp":"{}"}}}}]}}"#,
            tandem_core::Timestamp::new(i64::try_from(later.as_secs()).unwrap(), 0)
        );
        let (status, headers) =
            add(&serving.address, &parent, &sealed(parent.parse().unwrap(), &segment));
        assert_eq!(status, 200);
        parent = headers["x-version-id"].clone();
    }
    let pulled = replica.ta(&["sync", "--json"]).json();
    assert_eq!(pulled["down"]["versions"], VERSIONS, "{pulled}");
    replica.ta(&["sync"]).done();
    let last = (VERSIONS - 1).to_string();
    assert_eq!(replica.state()[&task]["count"], last);
    serving.signal("-TERM");
    let (_, log) = serving.ended();
    let all = requests(&log);
    let after = all.iter().rposition(|route| *route == "add-version").unwrap() + 1;
    assert_eq!(all[after..], ["get-child-version", "children", "get-child-version"]);
}
