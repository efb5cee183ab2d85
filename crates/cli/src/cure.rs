//! Failures of a sync, each with its exit code, its kind for programs, and what to do about it.

use tandem_tasks::session::{DirectoryTrouble, Failure, ProxyTrouble, TlsTrouble};

use crate::fail::{Exit, Fail};

/// A failure with its exit code, its kind and its cure.
pub(crate) fn failed(failure: &Failure) -> Fail {
    let (exit, cure) = exit_and_cure(failure);
    Fail { kind: kind(failure), ..Fail::new(exit, failure.to_string()).hint(cure) }
}

/// The exit code of a failure, and what to do about it.
pub(crate) fn exit_and_cure(failure: &Failure) -> (Exit, &'static str) {
    match failure {
        Failure::Unreachable { .. } => (
            Exit::Unreachable,
            "Check the line and server_origin; the next sync goes on where this one ended.",
        ),
        Failure::NobodyListens { is_here: true, .. } => (
            Exit::Unreachable,
            "Is `ta serve` running? Nobody listens there on this machine: start it, or correct \
             server_origin; the next sync goes on where this one ended.",
        ),
        Failure::NobodyListens { .. } => (
            Exit::Unreachable,
            "That machine is there, and no server listens at that port: check server_origin, or tell the \
             server's operator; the next sync goes on where this one ended.",
        ),
        Failure::TimedOut { is_connected: false, .. } => (
            Exit::Unreachable,
            "Check the line and server_origin; on a slow line raise connect_timeout_seconds.",
        ),
        Failure::TimedOut { .. } => (
            Exit::Unreachable,
            "The next sync goes on where this one ended. On a slow line raise read_timeout_seconds.",
        ),
        Failure::Tls { trouble, .. } => (Exit::Unreachable, tls(*trouble)),
        Failure::Proxy { trouble, .. } => proxy(*trouble),
        Failure::Forbidden => (
            Exit::Forbidden,
            "Ask the operator to allow this client id, and check server_client_key.",
        ),
        Failure::ClientUnknown => {
            (Exit::Forbidden, "Ask the operator to add this client id, or check server_client_key.")
        }
        Failure::ServerError { status } => (
            match status {
                // A proxy found no server, or one that takes nothing for now; or it has no room.
                502..=504 | 507 => Exit::Unreachable,
                _ => Exit::Failed,
            },
            "It is the server's problem; try again later or tell its operator.",
        ),
        Failure::Told { code, .. } => (
            match code.as_str() {
                // It passes, or its operator sees to it: all waits safely, and is sent then.
                "busy"
                | "too_many_guesses"
                | "too_slow"
                | "disk_low"
                | "disk_full"
                | "storage_unavailable" => Exit::Unreachable,
                _ => Exit::Failed,
            },
            cure_of(code),
        ),
        Failure::StrangeNotFound => (
            Exit::Failed,
            "Check server_origin: the path may be missing, or be one too many. If it is right, a login page \
             or a proxy stands between.",
        ),
        Failure::NotTheProtocol { .. } => (
            Exit::Failed,
            "Check that server_origin names a TaskChampion sync server, and that no login page or \
             proxy stands between.",
        ),
        Failure::TooLarge { .. } => {
            (Exit::Failed, "Shorten the largest value, or raise the server's limit.")
        }
        Failure::WrongSecret { .. } => (
            Exit::Secret,
            "Set the same encryption_secret as on the replica that began the list: \
             ta config set encryption_secret -",
        ),
        Failure::Malformed { .. } => (
            Exit::Failed,
            "The history was damaged, or another program wrote it. Everything before that version has \
             been applied, and no version can be passed over: bring the server back to a backup from \
             before it, or begin the list at another place.",
        ),
        Failure::FutureKind { .. } => (
            Exit::Failed,
            "A newer program wrote it. Update ta on this machine; until then local work goes on and \
             nothing is pushed.",
        ),
        Failure::OutOfSync { .. } => (
            Exit::Failed,
            "The server may have been restored or changed by hand. Try again; if it stays, tell its \
             operator.",
        ),
        Failure::HistoryMissing => (
            Exit::Failed,
            "Sync first from a replica that has the list, so that the server gets a snapshot; this \
             one is unchanged.",
        ),
        Failure::DirectoryMissing { .. } => (
            Exit::Settings,
            "Mount the disk, or correct server_dir. Nothing was begun anew; if the history is to begin \
             there: ta sync --new-history",
        ),
        Failure::Directory { trouble, .. } => directory(*trouble),
        _ => (Exit::Failed, "Try again later."),
    }
}

/// What to do where a connection to the server cannot be made safe.
fn tls(trouble: TlsTrouble) -> &'static str {
    match trouble {
        TlsTrouble::Authority => {
            "A certificate of your own, or of your own authority, is trusted with: ta config set ca_file \
             FILE. The system's authorities are trusted again with: ta config unset ca_file"
        }
        TlsTrouble::Time => {
            "Look at the clock here (timedatectl); if it is right, whoever runs the other side has to \
             renew the certificate."
        }
        TlsTrouble::Name => {
            "Use an address that the certificate is for (ta config set server_origin URL), or have one made \
             for this address."
        }
        _ => "Check server_origin. If it is right, it is to be mended on the other side.",
    }
}

/// The same of a proxy on the way to the server. Its address is in no setting of ours.
fn proxy(trouble: ProxyTrouble) -> (Exit, &'static str) {
    match trouble {
        ProxyTrouble::Address => (
            Exit::Settings,
            "Correct the proxy's address in http_proxy, https_proxy or all_proxy; or name the server in \
             no_proxy, to go there without one.",
        ),
        ProxyTrouble::TimedOut { is_connected: false } => (
            Exit::Unreachable,
            "Check the line and the proxy's address in http_proxy, https_proxy or all_proxy; on a slow \
             line raise connect_timeout_seconds.",
        ),
        ProxyTrouble::TimedOut { is_connected: true } => (
            Exit::Unreachable,
            "The proxy or the server is slow: the next sync goes on where this one ended. On a slow line \
             raise read_timeout_seconds.",
        ),
        ProxyTrouble::Tls(trouble) => (
            Exit::Unreachable,
            match trouble {
                TlsTrouble::Authority | TlsTrouble::Time => tls(trouble),
                TlsTrouble::Name => {
                    "Use an address of the proxy that its certificate is for (http_proxy, https_proxy, \
                     all_proxy), or have one made for this address."
                }
                _ => {
                    "Check the proxy's address in http_proxy, https_proxy or all_proxy: one that begins \
                     with http:// may be meant. If it is right, it is to be mended at the proxy."
                }
            },
        ),
        ProxyTrouble::NotAProxy => (
            Exit::Failed,
            "Check the proxy's address in http_proxy, https_proxy or all_proxy: its port, and whether it \
             begins with http://, https:// or socks5://.",
        ),
        ProxyTrouble::Password => (
            Exit::Forbidden,
            "Put them into the proxy's address in http_proxy, https_proxy or all_proxy: \
             http://NAME:PASSWORD@HOST:PORT",
        ),
        ProxyTrouble::Refuses => (
            Exit::Forbidden,
            "Ask whoever runs the proxy to let this server through; or name the server in no_proxy, to go \
             there without one.",
        ),
        ProxyTrouble::NoServer => (
            Exit::Unreachable,
            "Check server_origin: the proxy found nobody there, or is in trouble itself. The next sync goes \
             on where this one ended.",
        ),
        // Nobody answers there.
        _ => (
            Exit::Unreachable,
            "Check the line and the proxy's address in http_proxy, https_proxy or all_proxy; or name the \
             server in no_proxy, to go there without one.",
        ),
    }
}

/// The same of a folder in a server's place.
fn directory(trouble: DirectoryTrouble) -> (Exit, &'static str) {
    match trouble {
        DirectoryTrouble::Permission => (
            Exit::Failed,
            "Give the folder and the file in it to whoever runs ta (chown, chmod), then sync again.",
        ),
        DirectoryTrouble::ReadOnly => (
            Exit::Failed,
            "Check the mode of the folder and of the file in it, and whether the disk is mounted for \
             writing; then sync again.",
        ),
        DirectoryTrouble::Full => (Exit::Failed, "Make room, then sync again."),
        DirectoryTrouble::NotAFolder => (
            Exit::Settings,
            "Name a folder, which is made if it is not there: ta config set server_dir FOLDER",
        ),
        DirectoryTrouble::CannotBeMade => {
            (Exit::Settings, "Mount the disk, or correct it: ta config set server_dir FOLDER")
        }
        DirectoryTrouble::NotAHistory => (
            Exit::Settings,
            "The file is none of ours and was left as it is. Set another folder: ta config set \
             server_dir FOLDER",
        ),
        DirectoryTrouble::Damaged => (
            Exit::Failed,
            "Put a backup of the file back. Without one, set server_dir to a new folder and sync: this \
             list goes there as a whole.",
        ),
        DirectoryTrouble::Held => (Exit::Unreachable, "Wait for it to end, then sync again."),
        _ => (Exit::Failed, "Try again; if it stays so, look at the folder and its disk."),
    }
}

/// Codes of a Tandem that are kinds, too (`docs/protocol/tandem-http.md`).
const TOLD: [&str; 8] = [
    "busy",
    "disk_low",
    "disk_full",
    "too_many_guesses",
    "too_slow",
    "writes_stopped",
    "storage_unavailable",
    "storage_damaged",
];

/// The kind of a failure for programs, where it has one (`docs/reference/sync-json.md`).
fn kind(failure: &Failure) -> Option<String> {
    let kind = match failure {
        Failure::Unreachable { .. } => "server_unreachable",
        Failure::NobodyListens { .. } => "server_nobody_listens",
        Failure::TimedOut { .. } => "server_timed_out",
        Failure::ServerError { .. } => "server_error",
        // A code that is not known here is a server's word, and no kind of ours.
        Failure::Told { code, .. } => match TOLD.contains(&code.as_str()) {
            true => return Some(format!("server_{code}")),
            false => "server_error",
        },
        Failure::StrangeNotFound | Failure::NotTheProtocol { .. } => "server_strange",
        Failure::Forbidden => "client_forbidden",
        Failure::ClientUnknown => "client_unknown",
        Failure::WrongSecret { .. } => "wrong_secret",
        Failure::Tls { trouble, .. } => match trouble {
            TlsTrouble::Authority => "tls_authority",
            TlsTrouble::Time => "tls_time",
            TlsTrouble::Name => "tls_name",
            _ => "tls_other",
        },
        Failure::Proxy { trouble, .. } => return Some(format!("proxy_{}", trouble.name())),
        Failure::DirectoryMissing { .. } => "directory_missing",
        Failure::Directory { trouble, .. } => {
            return Some(format!("directory_{}", trouble.name()));
        }
        _ => return None,
    };
    Some(kind.to_owned())
}

/// What to do about what a Tandem says of itself (`docs/protocol/tandem-http.md`).
fn cure_of(code: &str) -> &'static str {
    match code {
        "disk_low" | "disk_full" => {
            "The server's operator has to make room on its disk; until then it takes nothing new, \
             and what it has can be read."
        }
        "too_many_guesses" => {
            "Check server_client_key, then wait as long as it says; somebody behind the same address \
             may have a wrong one."
        }
        "busy" => "Try again in a moment; if it stays so, tell the server's operator.",
        "too_slow" => "Look at the line, then try again.",
        "writes_stopped" | "storage_damaged" => {
            "The server's operator has to look at its disk and log."
        }
        _ => "Try again later; if it stays so, tell the server's operator.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_trouble_with_a_folder_has_a_cure_of_its_own() {
        use DirectoryTrouble as Trouble;
        for (trouble, exit, part, name) in [
            (Trouble::Permission, Exit::Failed, "chown", "directory_permission"),
            (Trouble::ReadOnly, Exit::Failed, "mounted", "directory_read_only"),
            (Trouble::Full, Exit::Failed, "Make room", "directory_full"),
            (Trouble::NotAFolder, Exit::Settings, "Name a folder", "directory_not_a_folder"),
            (Trouble::CannotBeMade, Exit::Settings, "Mount", "directory_cannot_be_made"),
            (Trouble::NotAHistory, Exit::Settings, "none of ours", "directory_not_a_history"),
            (Trouble::Damaged, Exit::Failed, "backup", "directory_damaged"),
            (Trouble::Held, Exit::Unreachable, "Wait", "directory_held"),
            (Trouble::Other, Exit::Failed, "look at the folder", "directory_other"),
        ] {
            // The text has no part in it.
            let failure = Failure::Directory { trouble, what: "the disk is full".to_owned() };
            let (code, cure) = exit_and_cure(&failure);
            assert_eq!(code, exit, "{trouble:?}");
            assert!(cure.contains(part), "{trouble:?}: {cure}");
            assert_eq!(kind(&failure).as_deref(), Some(name));
        }
        assert_eq!(kind(&Failure::HistoryMissing), None);
    }

    #[test]
    fn each_trouble_with_a_certificate_has_a_cure_of_its_own() {
        for (trouble, part) in [
            (TlsTrouble::Authority, "ta config set ca_file FILE"),
            (TlsTrouble::Time, "timedatectl"),
            (TlsTrouble::Name, "ta config set server_origin URL"),
            (TlsTrouble::Other, "on the other side"),
        ] {
            let failure = Failure::Tls { trouble, what: "it is so".into() };
            let (exit, cure) = exit_and_cure(&failure);
            assert_eq!(exit, Exit::Unreachable);
            assert!(cure.contains(part), "{trouble:?}: {cure}");
        }
    }

    #[test]
    fn each_trouble_with_a_proxy_has_a_cure_that_is_the_proxys() {
        use ProxyTrouble as Trouble;
        for (trouble, exit, part) in [
            (Trouble::Address, Exit::Settings, "Correct the proxy's address"),
            (Trouble::Unreachable, Exit::Unreachable, "the proxy's address in http_proxy"),
            (
                Trouble::TimedOut { is_connected: false },
                Exit::Unreachable,
                "connect_timeout_seconds",
            ),
            (Trouble::TimedOut { is_connected: true }, Exit::Unreachable, "read_timeout_seconds"),
            (Trouble::Tls(TlsTrouble::Authority), Exit::Unreachable, "ta config set ca_file"),
            (Trouble::Tls(TlsTrouble::Name), Exit::Unreachable, "address of the proxy"),
            (Trouble::Tls(TlsTrouble::Other), Exit::Unreachable, "begins with http://"),
            (Trouble::NotAProxy, Exit::Failed, "its port"),
            (Trouble::Password, Exit::Forbidden, "NAME:PASSWORD@"),
            (Trouble::Refuses, Exit::Forbidden, "no_proxy"),
            (Trouble::NoServer, Exit::Unreachable, "the proxy found nobody there"),
        ] {
            let failure = Failure::Proxy { trouble, what: "it is so".to_owned() };
            let (code, cure) = exit_and_cure(&failure);
            assert_eq!(code, exit, "{trouble:?}");
            let speaks_of_the_server = trouble == Trouble::NoServer;
            assert_eq!(cure.contains("server_origin"), speaks_of_the_server, "{trouble:?}: {cure}");
            assert!(cure.contains(part), "{trouble:?}: {cure}");
        }
    }

    #[test]
    fn where_nobody_listens_the_server_may_not_be_running() {
        let at = "127.0.0.1:8080".to_owned();
        for (is_here, part) in [(true, "Is `ta serve` running?"), (false, "That machine is there")]
        {
            let (exit, cure) = exit_and_cure(&Failure::NobodyListens { at: at.clone(), is_here });
            assert_eq!(exit, Exit::Unreachable);
            assert!(cure.contains(part) && cure.contains("server_origin"), "{cure}");
        }
    }

    #[test]
    fn what_keeps_a_server_from_answering_has_a_kind_for_programs() {
        let what = || "it is so".to_owned();
        let told = |code: &str| Failure::Told {
            status: 503,
            code: code.to_owned(),
            message: what(),
            retry_seconds: None,
        };
        for (failure, name) in [
            (Failure::Unreachable { what: what() }, "server_unreachable"),
            (Failure::NobodyListens { at: what(), is_here: true }, "server_nobody_listens"),
            (Failure::TimedOut { what: what(), is_connected: true }, "server_timed_out"),
            (Failure::ServerError { status: 500 }, "server_error"),
            (told("disk_low"), "server_disk_low"),
            (told("a word of\nits own"), "server_error"),
            (Failure::StrangeNotFound, "server_strange"),
            (Failure::Forbidden, "client_forbidden"),
            (Failure::ClientUnknown, "client_unknown"),
            (Failure::Tls { trouble: TlsTrouble::Time, what: what() }, "tls_time"),
            (Failure::Proxy { trouble: ProxyTrouble::Password, what: what() }, "proxy_password"),
            (Failure::DirectoryMissing { what: what() }, "directory_missing"),
        ] {
            assert_eq!(kind(&failure).as_deref(), Some(name), "{failure:?}");
        }
    }

    #[test]
    fn a_server_that_takes_nothing_for_now_is_like_one_that_cannot_be_reached() {
        let told = |code: &str| Failure::Told {
            status: 503,
            code: code.to_owned(),
            message: "It is so.".to_owned(),
            retry_seconds: None,
        };
        for (failure, exit) in [
            (told("disk_low"), Exit::Unreachable),
            (told("disk_full"), Exit::Unreachable),
            (told("storage_unavailable"), Exit::Unreachable),
            (told("writes_stopped"), Exit::Failed),
            (Failure::ServerError { status: 507 }, Exit::Unreachable),
            (Failure::ServerError { status: 500 }, Exit::Failed),
        ] {
            assert_eq!(exit_and_cure(&failure).0, exit, "{failure:?}");
        }
    }

    #[test]
    fn a_wait_that_ended_names_the_setting_of_that_wait() {
        for (is_connected, setting) in
            [(false, "connect_timeout_seconds"), (true, "read_timeout_seconds")]
        {
            let failure = Failure::TimedOut { what: "connecting".into(), is_connected };
            let (exit, cure) = exit_and_cure(&failure);
            assert_eq!(exit, Exit::Unreachable);
            assert!(cure.contains(&format!("raise {setting}.")), "{cure}");
        }
    }
}
