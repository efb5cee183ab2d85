//! The storage and the remote that a simulated process works with: the real ones, with moments at
//! which others act and faults strike.

use tandem_remote::{Call, Identity, MemoryRemote, Outcome, Remote};
use tandem_replica::storage::Result;
use tandem_replica::{CommitFault, Storage, StorageError, Txn};
use tandem_tasks::session::{Added, Child, Failure, Response};

use crate::world::{Line, Occasion, Process, World};

/// A replica's storage in a process that may die.
pub(crate) struct FaultyStorage {
    world: World,
    replica: usize,
    process: Process,
    inner: Box<dyn Storage>,
}

impl FaultyStorage {
    pub(crate) fn new(
        world: World,
        replica: usize,
        process: Process,
        inner: Box<dyn Storage>,
    ) -> Self {
        Self { world, replica, process, inner }
    }

    fn alive(&self) -> Result<()> {
        if self.process.is_dead() {
            return Err(StorageError::Other {
                file: "the replica".into(),
                doing: "living",
                source: "the process has died".into(),
            });
        }
        Ok(())
    }
}

impl Storage for FaultyStorage {
    fn write<'a>(&'a mut self) -> Result<Box<dyn Txn + 'a>> {
        self.alive()?;
        let memory = self.world.memory_of(self.replica);
        self.world.moment(self.replica, Occasion::Between);
        if self.world.dies() {
            self.world.tell("dies before a transaction");
            self.process.die();
        }
        self.alive()?;
        if let Some(memory) = &memory
            && self.world.fills_disk()
        {
            self.world.tell("the disk is full");
            memory.fail_commit(0, CommitFault::NotDone);
        } else if self.world.dies() {
            self.world.tell("dies after a transaction");
            self.process.die();
        }
        self.inner.write()
    }

    fn read<'a>(&'a mut self) -> Result<Box<dyn Txn + 'a>> {
        self.alive()?;
        self.world.moment(self.replica, Occasion::Between);
        self.inner.read()
    }
}

impl Drop for FaultyStorage {
    fn drop(&mut self) {
        if let Some(memory) = self.world.memory_of(self.replica) {
            memory.forget_fault();
        }
    }
}

/// A line to a server in a process that may die.
pub(crate) struct FaultyRemote {
    world: World,
    replica: usize,
    server: usize,
    process: Process,
    inner: MemoryRemote,
}

impl FaultyRemote {
    pub(crate) fn new(world: World, replica: usize, server: usize, process: Process) -> Self {
        let inner = world.connect(server);
        Self { world, replica, server, process, inner }
    }
}

/// The name of a call, for the trace.
pub(crate) fn name(call: &Call) -> String {
    match call {
        Call::GetSnapshot => "GetSnapshot".into(),
        Call::GetChildVersion { parent } => format!("GetChildVersion {parent}"),
        Call::AddVersion { parent, segment } => {
            format!("AddVersion {parent} {}", String::from_utf8_lossy(segment))
        }
        Call::AddSnapshot { version, .. } => format!("AddSnapshot {version}"),
        Call::RemoveOrphans { versions } => format!("RemoveOrphans {versions:?}"),
        Call::CheckProof { .. } => "CheckProof".into(),
    }
}

/// What came of a call, for the trace.
pub(crate) fn told(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Answer(Response::Child(Child::Version { version, .. })) => {
            format!("version {version}")
        }
        Outcome::Answer(Response::Child(Child::Orphaned(orphaned))) => {
            format!("orphaned since {}, where {:?}", orphaned.fork, orphaned.tasks_at_fork)
        }
        Outcome::Answer(Response::Child(child)) => format!("{child:?}"),
        Outcome::Answer(Response::Added(Added::Accepted { version, urgency })) => {
            format!("accepted as {version}, snapshot {urgency:?}")
        }
        Outcome::Answer(Response::Added(added)) => format!("{added:?}"),
        Outcome::Answer(Response::Snapshot(snapshot)) => {
            format!("snapshot of {:?}", snapshot.as_ref().map(|(version, _)| version))
        }
        Outcome::Answer(response) => format!("{response:?}"),
        Outcome::Unknown(failure) => format!("unknown: {failure}"),
        Outcome::Refused(failure) => format!("refused: {failure}"),
    }
}

impl Remote for FaultyRemote {
    fn identity(&mut self) -> std::result::Result<Option<Identity>, Failure> {
        self.inner.identity()
    }

    fn call(&mut self, call: Call) -> Outcome {
        let broken = || Failure::Unreachable { what: "the line broke".into() };
        if matches!(call, Call::CheckProof { .. }) {
            return self.inner.call(call);
        }
        let occasion = match call {
            Call::AddVersion { .. } => Occasion::BeforePush,
            _ => Occasion::Between,
        };
        self.world.moment(self.replica, occasion);
        if self.world.dies() {
            self.world.tell("dies before a call");
            self.process.die();
        }
        if self.process.is_dead() {
            return Outcome::Unknown(broken());
        }
        let line = self.world.line();
        let told_call = name(&call);
        let is_snapshot = matches!(call, Call::AddSnapshot { .. });
        let outcome = match line {
            Line::Good => self.inner.call(call),
            Line::LoseRequest => Outcome::Unknown(broken()),
            Line::LoseReply => {
                self.inner.fault_next(tandem_remote::memory::Fault::LoseReply);
                self.inner.call(call)
            }
            Line::Delay => {
                self.world.delay(self.server, call);
                Outcome::Unknown(broken())
            }
            Line::Refuse => Outcome::Refused(Failure::ServerError { status: 503 }),
        };
        self.world.tell(&format!("{told_call} {line:?}: {}", told(&outcome)));
        self.world.check_servers();
        if is_snapshot {
            self.world.check_snapshot(self.server);
        }
        self.world.moment(self.replica, Occasion::Between);
        if self.world.dies() {
            self.world.tell("dies after a call");
            self.process.die();
        }
        outcome
    }

    fn new_proof(&mut self) -> Option<Vec<u8>> {
        self.inner.new_proof()
    }

    fn is_directory(&self) -> bool {
        self.inner.is_directory()
    }

    fn label(&self) -> String {
        self.inner.label()
    }
}
