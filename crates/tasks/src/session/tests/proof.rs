//! The proof of the secret.

use super::*;

fn unproved(base_parent: Option<VersionId>) -> Talk {
    let mut tail = tail(3, &[edit(1, "a", 5)]);
    tail.base_parent = base_parent;
    Talk::begin(start(tail))
        .hears(&child(3), UP_TO_DATE)
        .hears(&Request::CheckProof, Response::Proof(Proof::Unproved))
}

#[test]
fn a_secret_is_proved_by_the_base_itself() {
    unproved(Some(v(2))).hears(&child(2), version(3, &[create(1)])).prepares(3);
}

#[test]
fn a_secret_is_proved_by_the_snapshot_where_the_base_is_trimmed() {
    let body = Response::Snapshot(Some((v(3), Vec::new())));
    unproved(Some(v(2)))
        .hears(&child(2), GONE)
        .hears(&Request::GetSnapshot, body.clone())
        .prepares(3);
    unproved(None).hears(&Request::GetSnapshot, body).prepares(3);
}

#[test]
fn a_wrong_secret_writes_nothing() {
    let wrong = Failure::WrongSecret { version: v(3) };
    unproved(Some(v(2))).asks(&child(2)).tell(Event::Refused(wrong.clone())).fails(wrong);
}

#[test]
fn a_version_that_opened_in_this_sync_is_proof_enough() {
    Talk::begin(start(tail(3, &[edit(1, "a", 5)])))
        .hears(&child(3), version(4, &[create(2)]))
        .hears(&child(4), UP_TO_DATE)
        .pulls(&[4], &[])
        .prepares(4);
}
