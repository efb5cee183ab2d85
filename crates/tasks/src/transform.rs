//! The pairwise transform of `protocols/taskchampion.md` section 4.
//!
//! ```text
//!          base
//!     S   /    \   L            S: an operation of the server's chain
//!        v      v               L: a pending operation of ours
//!        .      .
//!     L'  \    /   S'           applying S then L' equals applying L then S'
//!          v  v
//! ```
//!
//! The transform never rewrites an operation: each side survives whole or not at all. So it is
//! told here as which of the two survive and why.

use crate::operation::Operation;

/// What becomes of a server operation S and a pending operation L that meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meeting {
    /// They do not concern each other: both survive.
    Apart,
    /// Both did the same: neither has anything left to do.
    Same,
    /// The server's operation wins: S survives, L is dropped.
    ServerWins,
    /// Ours wins: S is dropped, L survives.
    LocalWins,
}

impl Meeting {
    /// True if S' is S; otherwise S' is nothing.
    pub fn server_survives(self) -> bool {
        matches!(self, Self::Apart | Self::ServerWins)
    }

    /// True if L' is L; otherwise L' is nothing.
    pub fn local_survives(self) -> bool {
        matches!(self, Self::Apart | Self::LocalWins)
    }
}

/// Decides what becomes of `server` and `local`, which happened from the same state.
///
/// Delete beats update, create beats delete, the later time wins per property, and on a tie the
/// operation that is already on the server wins.
pub fn transform(server: &Operation, local: &Operation) -> Meeting {
    use Operation::{Create, Delete, Update};
    if server.task() != local.task() {
        return Meeting::Apart;
    }
    match (server, local) {
        (Create { .. }, Create { .. }) | (Delete { .. }, Delete { .. }) => Meeting::Same,
        (Create { .. }, Delete { .. })
        | (Update { .. }, Create { .. })
        | (Delete { .. }, Update { .. }) => Meeting::ServerWins,
        (Delete { .. }, Create { .. })
        | (Create { .. }, Update { .. })
        | (Update { .. }, Delete { .. }) => Meeting::LocalWins,
        (
            Update { property: p, value: v, timestamp: t1, .. },
            Update { property: q, value: w, timestamp: t2, .. },
        ) => {
            if p != q {
                Meeting::Apart
            } else if v == w {
                Meeting::Same
            } else if t1 < t2 {
                Meeting::LocalWins
            } else {
                Meeting::ServerWins
            }
        }
    }
}
