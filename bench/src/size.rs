//! A server with very many clients: does anything grow with what is stored?

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tandem_core::{ClientId, Timestamp, VersionId};
use tandem_server::store::{AddVersion, Added};
use tandem_server::{SqliteStore, Store};
use tandem_tasks::serve::SnapshotTargets;

use crate::line::{Line, NIL, Rounds, Storm, client};
use crate::serving::Serving;
use crate::tools::{Tools, folder};

const CLIENTS: usize = 10_000;
/// Of each client, unless `TANDEM_BENCH_VERSIONS` says how many.
const VERSIONS: usize = 50;
const ROUNDS: usize = 3;
const LENGTH: Duration = Duration::from_millis(1500);

/// Adds all versions through the storage itself, many clients at a time.
fn fill(folder: &Path, clients: usize, versions: usize) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let store = Arc::new(SqliteStore::open(folder).unwrap());
    runtime.block_on(async {
        const AT_ONCE: usize = 200;
        for first in (0..clients).step_by(AT_ONCE) {
            let tasks: Vec<_> = (first..clients.min(first + AT_ONCE))
                .map(|number| tokio::spawn(fill_one(Arc::clone(&store), number, versions)))
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
        }
        store.close().await.unwrap();
    });
}

async fn fill_one(store: Arc<SqliteStore>, number: usize, versions: usize) {
    let client: ClientId = client(number).parse().unwrap();
    let mut parent = VersionId::NIL;
    for place in 0..versions {
        let mut id = [1; 16];
        id[..8].copy_from_slice(&(number as u64).to_be_bytes());
        id[8..].copy_from_slice(&(place as u64 + 1).to_be_bytes());
        let version = VersionId::from_bytes(id);
        let request = AddVersion {
            client,
            parent,
            version,
            segment: Bytes::from_static(&[7; 300]),
            at: Timestamp::from_seconds(1_790_000_000),
            targets: SnapshotTargets::default(),
            may_create: true,
        };
        let added = store.add_version(request).await.unwrap();
        assert!(matches!(added, Added::Accepted { .. }), "{added:?}");
        parent = version;
    }
}

fn syncs(address: &str, clients: usize) -> Storm {
    let begin = |number: usize| (Line::to(address, &client(number)), number);
    Storm::run(8, LENGTH, begin, |(line, number)| {
        *number = (*number + 7919) % clients;
        line.set_client(&client(*number));
        assert_eq!(line.child(NIL).status, 200);
    })
}

pub(crate) fn size(tools: &Tools) {
    let versions = std::env::var("TANDEM_BENCH_VERSIONS").map_or(VERSIONS, |n| n.parse().unwrap());
    let home = folder();
    let (few, many) = (home.path().join("few"), home.path().join("many"));
    fill(&few, 10, versions);
    let began = std::time::Instant::now();
    fill(&many, CLIENTS, versions);
    println!(
        "{} versions were added in {:.1} s",
        CLIENTS * versions,
        began.elapsed().as_secs_f64()
    );
    let few = Serving::ours(tools, &few);
    let many = Serving::ours(tools, &many);
    println!(
        "start: {:.0} ms with 10 clients, {:.0} ms with {CLIENTS}",
        few.start_ms, many.start_ms
    );
    let mut rounds = Rounds::default();
    for _ in 0..ROUNDS {
        rounds.push("10,000 clients", syncs(&many.address, CLIENTS));
        rounds.push("10 clients", syncs(&few.address, 10));
    }
    rounds.print("GetChildVersion of 300 bytes for any client, 8 connections");
    let ((few_now, few_peak), (now, peak)) = (few.memory_mb(), many.memory_mb());
    println!(
        "memory [MB]: {few_now:.1} (peak {few_peak:.1}) with 10 clients, {now:.1} (peak {peak:.1}) with {CLIENTS}"
    );
}
