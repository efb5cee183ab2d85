//! Why there is no valid answer: kinds that a shell matches, each with a cure of its own.

use tandem_core::VersionId;

use crate::segment::ReadSegmentError;

/// Why there is no valid answer. Matchable; the words for people are the shell's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// Nobody answers there, or the line broke.
    #[error("the server cannot be reached: {what}")]
    Unreachable {
        /// What the system said.
        what: String,
    },
    /// The machine is there, and nobody listens at that address of it.
    #[error("the server cannot be reached: {at} refuses connections")]
    NobodyListens {
        /// Host and port.
        at: String,
        /// It is this machine.
        is_here: bool,
    },
    /// No answer in time.
    #[error("the server did not answer in time: {what}")]
    TimedOut {
        /// Which wait ended.
        what: String,
        /// The connection was there; else it was waited for.
        is_connected: bool,
    },
    /// The connection could not be made safe.
    #[error("the connection could not be made safe: {what}")]
    Tls {
        /// The kind of it, from which follows what to do.
        trouble: TlsTrouble,
        /// What is wrong with the certificate or the handshake.
        what: String,
    },
    /// The proxy on the way to the server is at fault, or who of the two cannot be told.
    #[error("{}: {what}", trouble.says())]
    Proxy {
        /// The kind of it, from which follows what to do.
        trouble: ProxyTrouble,
        /// What is wrong, and with which proxy.
        what: String,
    },
    /// The server knows us not, or forbids us (401, 403).
    #[error("the server does not allow this client")]
    Forbidden,
    /// The server refuses to make a history for this client id (404 to AddVersion).
    #[error("the server does not know this client and makes no new ones")]
    ClientUnknown,
    /// The server said that it has a problem (5xx).
    #[error("the server has a problem (status {status})")]
    ServerError {
        /// The HTTP status.
        status: u16,
    },
    /// The server said in words why it does not do this at present, and that it may later.
    #[error("the server says: {message}{}", again(*retry_seconds))]
    Told {
        /// The HTTP status.
        status: u16,
        /// What it is, for programs: `disk_low`, `busy`, `too_many_guesses`.
        code: String,
        /// The same for people, in the server's words.
        message: String,
        /// How long it wants to be left alone, in seconds.
        retry_seconds: Option<u32>,
    },
    /// A 404 that is not in the protocol's words, from a server that has never answered in them:
    /// perhaps none of ours, or another path of it.
    #[error("somebody answers there, but that is not a task server's answer (status 404)")]
    StrangeNotFound,
    /// The answer is not the protocol's.
    #[error("that is not a task server's answer: {what}")]
    NotTheProtocol {
        /// What was wrong with it.
        what: String,
    },
    /// An answer or a request is larger than we or the server take.
    #[error("{what} is larger than the limit of {bytes_max} bytes")]
    TooLarge {
        /// What it was.
        what: String,
        /// The limit, in bytes.
        bytes_max: u64,
    },
    /// A version or snapshot could not be opened with our key.
    #[error("version {version} was sealed with a different secret")]
    WrongSecret {
        /// The version it is bound to.
        version: VersionId,
    },
    /// A version opens to something that is no history segment or snapshot.
    #[error("version {version} cannot be read: {what}")]
    Malformed {
        /// The version.
        version: VersionId,
        /// What is wrong.
        what: String,
    },
    /// A version holds an operation of a kind that only a later program knows.
    #[error("version {version} holds an operation of the unknown kind `{kind}`")]
    FutureKind {
        /// The version.
        version: VersionId,
        /// The kind.
        kind: String,
    },
    /// The server refuses our version and offers none in its place.
    #[error("the server's history does not fit together after version {latest}")]
    OutOfSync {
        /// The latest version that the server named.
        latest: VersionId,
    },
    /// The history that was just taken in is gone again.
    #[error("the server's history was removed again during this sync")]
    GoneAgain,
    /// The server has versions, but neither the first one nor a snapshot.
    #[error("the server's history has no beginning and no snapshot")]
    HistoryMissing,
    /// The directory that held the history is empty or not there.
    #[error("the history is not where it was: {what}")]
    DirectoryMissing {
        /// What is missing.
        what: String,
    },
    /// The directory's file could not be used.
    #[error("the local history cannot be used: {what}")]
    Directory {
        /// The kind of it, from which follows what to do.
        trouble: DirectoryTrouble,
        /// What is wrong, and with which file or version.
        what: String,
    },
}

/// Kinds of trouble with a safe connection. Each has a cure of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsTrouble {
    /// The certificate is vouched for by nobody who is trusted here.
    Authority,
    /// The certificate is not valid now, by the clock here.
    Time,
    /// The certificate is for other names.
    Name,
    /// Anything else: no TLS there, none that is known here, a certificate that is damaged.
    Other,
}

/// Kinds of trouble with a proxy on the way to the server. Each has a cure of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProxyTrouble {
    /// Its address cannot be read.
    Address,
    /// Nobody answers at its address, or the line to it broke.
    Unreachable,
    /// It was waited for in vain.
    TimedOut {
        /// It had taken a request on its way, so that the server may be the slow one.
        is_connected: bool,
    },
    /// The connection to it could not be made safe.
    Tls(TlsTrouble),
    /// What answers there is no proxy of the kind that its address says.
    NotAProxy,
    /// It wants a name and a password, or others.
    Password,
    /// It lets nobody through to this server.
    Refuses,
    /// It finds no way to the server, or has a problem of its own.
    NoServer,
}

impl ProxyTrouble {
    /// The kind for programs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Unreachable => "unreachable",
            Self::TimedOut { .. } => "timed_out",
            Self::Tls(_) => "tls",
            Self::NotAProxy => "not_a_proxy",
            Self::Password => "password",
            Self::Refuses => "refuses",
            Self::NoServer => "no_server",
        }
    }

    /// The beginning of a sentence about it.
    fn says(self) -> &'static str {
        match self {
            Self::Address | Self::NotAProxy => "the proxy cannot be used",
            Self::Unreachable => "the proxy cannot be reached",
            Self::TimedOut { is_connected: false } => "the proxy did not answer in time",
            Self::TimedOut { is_connected: true } => "no answer came by the proxy in time",
            Self::Tls(_) => "the connection to the proxy could not be made safe",
            Self::Password => "the proxy asks for a name and a password",
            Self::Refuses => "the proxy does not connect to the server",
            Self::NoServer => "the server cannot be reached by the proxy",
        }
    }

    /// Nobody knows what the server would say; it may be asked again.
    pub fn is_passing(self) -> bool {
        matches!(self, Self::Unreachable | Self::TimedOut { .. } | Self::NoServer)
    }
}

/// Kinds of trouble with a directory. Each has a cure of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DirectoryTrouble {
    /// We have no right to read or write there.
    Permission,
    /// It can be read and not be written.
    ReadOnly,
    /// There is no room left.
    Full,
    /// Something else stands where the folder should be.
    NotAFolder,
    /// The folder is not there, and the system lets none be made in its place.
    CannotBeMade,
    /// Something else stands where the history should be.
    NotAHistory,
    /// What is in the history does not fit together.
    Damaged,
    /// Another program holds it.
    Held,
    /// Anything else that the system says.
    Other,
}

impl DirectoryTrouble {
    /// The kind for programs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Permission => "permission",
            Self::ReadOnly => "read_only",
            Self::Full => "full",
            Self::NotAFolder => "not_a_folder",
            Self::CannotBeMade => "cannot_be_made",
            Self::NotAHistory => "not_a_history",
            Self::Damaged => "damaged",
            Self::Held => "held",
            Self::Other => "other",
        }
    }
}

impl Failure {
    /// What it means that the segment of a version cannot be read.
    pub fn of_segment(version: VersionId, error: ReadSegmentError) -> Self {
        match error {
            ReadSegmentError::UnknownKind { kind } => Self::FutureKind { version, kind },
            error @ ReadSegmentError::Malformed(_) => {
                Self::Malformed { version, what: error.to_string() }
            }
        }
    }
}

/// When a server wants to be asked again, for a person.
fn again(retry_seconds: Option<u32>) -> String {
    match retry_seconds {
        None => String::new(),
        Some(seconds) if seconds < 120 => format!(" (ask again in {seconds} s)"),
        Some(seconds) => format!(" (ask again in {} min)", seconds.div_ceil(60)),
    }
}
