//! Why a database cannot be reached, as far as that can be told apart: each has a cure of its own.

use std::error::Error as StdError;
use std::io;

use deadpool_postgres::{HookError, PoolError};
use tokio_postgres::error::SqlState;

/// Why nothing can be asked of a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Why {
    /// Nobody listens at that address.
    NobodyListens,
    /// The host's name is not known.
    NoSuchHost,
    /// Nothing came back in time.
    NoAnswer,
    /// Whoever answers does not speak PostgreSQL's protocol.
    NotPostgres,
    /// It wants a password, and none is known here.
    NoPassword,
    /// User and password do not fit.
    WrongPassword,
    /// There is no such user.
    NoSuchUser,
    /// There is no such database.
    NoSuchDatabase,
    /// It lets this user in from here over encrypted connections alone, or not at all.
    NeedsTls,
    /// It speaks no TLS, which was asked for.
    HasNoTls,
    /// Its certificate is not trusted, or for another name.
    Certificate,
    /// Its certificate is an authority's (CA:TRUE), which is taken for no server's.
    AuthoritysCertificate,
    /// It lets this user into this database from nowhere that we are.
    NotLetIn,
    /// The user may not log in at all.
    NoLogin,
    /// The user has no right to connect to this database.
    NoRight,
    /// All its connections are taken.
    Full,
    /// It starts, ends or follows another.
    NotReady,
    /// What it needs for that is damaged.
    Damaged,
    /// Something else.
    Other,
}

impl Why {
    /// From what the pool says of a new connection.
    pub(super) fn of_pool(error: &PoolError) -> Self {
        match error {
            PoolError::Timeout(_) => Self::NoAnswer,
            PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => {
                Self::of(error)
            }
            _ => Self::Other,
        }
    }

    /// From what the library says.
    pub(super) fn of(error: &tokio_postgres::Error) -> Self {
        if let Some(said) = error.as_db_error() {
            return Self::of_code(said.code(), said.message());
        }
        let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
        while let Some(error) = cause {
            if let Some(why) = error.downcast_ref().and_then(Self::of_io) {
                return why;
            }
            if let Some(error) = error.downcast_ref() {
                return Self::of_tls(error);
            }
            cause = error.source();
        }
        Self::of_words(&super::rows::text(error))
    }

    /// PostgreSQL's own words, where its code does not tell enough. They may be in another language:
    /// then it is one of those that let nobody in.
    fn of_code(code: &SqlState, message: &str) -> Self {
        match code.code() {
            "28P01" => Self::WrongPassword,
            "28000" if message.contains("no encryption") => Self::NeedsTls,
            "28000" if message.contains("does not exist") => Self::NoSuchUser,
            "28000" if message.contains("not permitted to log in") => Self::NoLogin,
            "28000" => Self::NotLetIn,
            "42501" => Self::NoRight,
            "3D000" => Self::NoSuchDatabase,
            "53300" => Self::Full,
            "XX001" | "XX002" => Self::Damaged,
            "57P01" | "57P02" | "57P03" | "25006" => Self::NotReady,
            _ => Self::Other,
        }
    }

    fn of_io(error: &io::Error) -> Option<Self> {
        match error.kind() {
            io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => Some(Self::NobodyListens),
            io::ErrorKind::TimedOut
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable => Some(Self::NoAnswer),
            // The end of what was said, in the middle of PostgreSQL's first words.
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => {
                Some(Self::NotPostgres)
            }
            // The handshake's own errors are inside of these.
            _ => error.get_ref().and_then(|inner| inner.downcast_ref()).map(Self::of_tls),
        }
    }

    /// The library has no name of its own for an authority's certificate in a server's place.
    fn of_tls(error: &rustls::Error) -> Self {
        match error.to_string().contains("CaUsedAsEndEntity") {
            true => Self::AuthoritysCertificate,
            false => Self::Certificate,
        }
    }

    /// The library has no names for these.
    fn of_words(text: &str) -> Self {
        let known = [
            ("password missing", Self::NoPassword),
            ("server does not support TLS", Self::HasNoTls),
            ("lookup address", Self::NoSuchHost),
            ("timeout", Self::NoAnswer),
            ("timed out", Self::NoAnswer),
            ("unexpected message", Self::NotPostgres),
            ("connection closed", Self::NotPostgres),
            ("server does not allow writes", Self::NotReady),
        ];
        let found = known.iter().find(|(words, _)| text.contains(words));
        found.map_or(Self::Other, |(_, why)| *why)
    }
}
