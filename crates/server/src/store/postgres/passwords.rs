//! libpq's file of passwords: `host:port:database:user:password` a line.

use std::fs;
use std::path::Path;

use tokio_postgres::Config;
use tokio_postgres::config::Host;

/// The largest file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// The first password in the file that is for one of the address's hosts. As with libpq, a file that
/// others could read is left alone, and so is one that is not there.
pub(super) fn look_up(path: &Path, config: &Config) -> Option<String> {
    let facts = fs::metadata(path).ok()?;
    if !facts.is_file() || facts.len() > FILE_BYTES_MAX {
        return None;
    }
    #[cfg(unix)]
    if std::os::unix::fs::PermissionsExt::mode(&facts.permissions()) & 0o077 != 0 {
        tracing::warn!(path = %path.display(), "others can read the file of passwords: not used");
        return None;
    }
    find(&fs::read_to_string(path).ok()?, config)
}

fn find(text: &str, config: &Config) -> Option<String> {
    let user = config.get_user().unwrap_or_default();
    let database = config.get_dbname().unwrap_or(user);
    let ports = config.get_ports();
    let mut hosts: Vec<String> = config.get_hosts().iter().map(name).collect();
    if hosts.is_empty() {
        hosts.extend(config.get_hostaddrs().iter().map(ToString::to_string));
    }
    hosts.iter().enumerate().find_map(|(at, host)| {
        let port = ports.get(at).or_else(|| ports.first()).copied().unwrap_or(5432).to_string();
        text.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
            let fields = fields(line);
            let [of_host, of_port, of_database, of_user, password] = fields.as_slice() else {
                return None;
            };
            let wanted = [host.as_str(), &port, database, user];
            let given = [of_host, of_port, of_database, of_user];
            let fits = given
                .iter()
                .zip(wanted)
                .all(|(given, wanted)| given.as_str() == "*" || *given == wanted);
            fits.then(|| password.clone())
        })
    })
}

/// libpq's name for a host: a socket is this machine.
fn name(host: &Host) -> String {
    match host {
        Host::Tcp(name) => name.clone(),
        #[cfg(unix)]
        Host::Unix(_) => "localhost".to_owned(),
    }
}

/// The fields of a line; a backslash keeps the colon or backslash after it. The password is the rest.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        let place = fields.len() - 1;
        match letter {
            '\\' => fields[place].extend(letters.next()),
            ':' if place < 4 => fields.push(String::new()),
            letter => fields[place].push(letter),
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_that_fits_is_taken() {
        let text = "# comment\n\
                    other:5432:d:u:no\n\
                    h:5433:d:u:other port\n\
                    h:5432:d\\:d:u:with\\:colon\\\\:and more\n\
                    *:*:d:u:anywhere\n\
                    localhost:*:*:s:by socket\n\
                    too:short\n";
        let cases = [
            ("postgres://u@h/d", Some("anywhere")),
            ("postgres://u@h:5433/d", Some("other port")),
            ("postgres://u@h/d%3Ad", Some("with:colon\\:and more")),
            ("postgres://u@nowhere,other/d", Some("anywhere")),
            ("postgres:///d?host=/run&user=s", Some("by socket")),
            ("postgres://x@h/d", None),
        ];
        for (address, expected) in cases {
            assert_eq!(find(text, &address.parse().unwrap()).as_deref(), expected, "{address}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_can_read_is_left_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "*:*:*:*:secret").unwrap();
        let config: Config = "postgres://u@h/d".parse().unwrap();
        for (mode, expected) in [(0o600, Some("secret")), (0o640, None), (0o604, None)] {
            fs::set_permissions(file.path(), fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(look_up(file.path(), &config).as_deref(), expected, "{mode:o}");
        }
        assert_eq!(look_up(Path::new("/nowhere/at/all"), &config), None);
    }
}
