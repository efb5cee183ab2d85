//! Everything at once, on three nodes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tandem_core::VersionId;
use tandem_server::store::conformance::{Customer, retain};
use tandem_server::store::{Added, Child, SnapshotAdded, SnapshotFound, Store};
use tandem_server::testing::Cluster;
use tandem_tasks::serve::retention::Rules;

use crate::chain::elsewhere;
use crate::open_as_served;
use crate::upkeep::findings;

const OFFERS: usize = 60;
const WRITERS: usize = 4;

/// One replica: offers versions through any node, and a snapshot of every fifth that is taken. How
/// many snapshots were taken, and which versions.
async fn write(replicas: Vec<Customer>, number: usize) -> (u64, Vec<VersionId>) {
    let (mut latest, mut snapshots, mut mine) = (VersionId::NIL, 0, Vec::new());
    for at in 0..OFFERS {
        let replica = &replicas[(number + at) % replicas.len()];
        match replica.offer(latest, format!("{number} {at}").as_bytes()).await.unwrap() {
            Added::Accepted { version, .. } => {
                latest = version;
                mine.push(version);
            }
            Added::Conflict { latest: told } => latest = told,
            Added::NoSuchClient => panic!("it may be made"),
        }
        if at % 5 == 0 {
            // Another one may be newer already: then it is passed over.
            let replica = &replicas[(number + at + 1) % replicas.len()];
            let taken = replica.snap(latest, b"snapshot").await;
            snapshots += u64::from(taken == SnapshotAdded::Accepted);
        }
    }
    (snapshots, mine)
}

/// Goal: nothing that nodes do to one client at once breaks its chain.
/// Method: writers offer versions and snapshots, every node lets go whatever it may, replicas read;
/// all the while, and at the end, each chain is checked.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn versions_snapshots_and_retention_at_once_leave_every_chain_whole() {
    let cluster = Cluster::shared();
    let mut nodes = Vec::new();
    for _ in 0..3 {
        nodes.push(open_as_served(&cluster, "storm").await);
    }
    let clients: Vec<Customer> = (0..2).map(|_| Customer::new(&nodes[0])).collect();
    let writers: Vec<Vec<_>> = clients
        .iter()
        .map(|client| {
            let everywhere: Vec<Customer> =
                nodes.iter().map(|node| elsewhere(client, node)).collect();
            (0..WRITERS).map(|number| tokio::spawn(write(everywhere.clone(), number))).collect()
        })
        .collect();
    let is_over = Arc::new(AtomicBool::new(false));
    let let_go = Arc::new(AtomicU64::new(0));
    let keepers: Vec<_> = nodes
        .iter()
        .map(|node: &Arc<dyn Store>| {
            let (node, at) = (Arc::clone(node), clients[0].now);
            let (is_over, let_go) = (Arc::clone(&is_over), Arc::clone(&let_go));
            tokio::spawn(async move {
                let rules = Rules { grace_days: 0, versions_min: 5 };
                while !is_over.load(Ordering::Relaxed) {
                    let_go.fetch_add(retain(&node, rules, at, 3).await, Ordering::Relaxed);
                    assert_eq!(findings(&node).await, Vec::<String>::new());
                }
            })
        })
        .collect();
    let mut taken = Vec::new();
    for writers in writers {
        let (mut snapshots, mut accepted) = (0, BTreeSet::new());
        for writer in writers {
            let (stored, mine) = writer.await.unwrap();
            snapshots += stored;
            accepted.extend(mine);
        }
        assert!(snapshots >= 2, "there was something to let go in favour of");
        taken.push(accepted);
    }
    is_over.store(true, Ordering::Relaxed);
    for keeper in keepers {
        keeper.await.unwrap();
    }
    let rules = Rules { grace_days: 0, versions_min: 5 };
    let last = retain(&nodes[0], rules, clients[0].now, 100).await;
    assert!(let_go.load(Ordering::Relaxed) + last > 0);
    for (client, accepted) in clients.iter().zip(taken) {
        let facts = client.facts().await;
        assert_eq!(facts.versions_ever, accepted.len() as u64, "each that was answered, once");
        let SnapshotFound::Found(newest) = client.snapshot().await else { panic!("it is there") };
        for node in &nodes {
            let client = elsewhere(client, node);
            let older = facts.snapshots.last().unwrap().version;
            for from in [newest.version, older] {
                let chain = client.walk(from).await;
                assert_eq!(chain.last().copied().unwrap_or(from), facts.latest);
                assert!(chain.iter().all(|version| accepted.contains(version)));
            }
            assert_eq!(client.child(facts.latest).await, Child::UpToDate);
            assert_eq!(findings(node).await, Vec::<String>::new());
        }
    }
}
