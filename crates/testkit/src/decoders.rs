//! Every decoder of bytes from outside, as a function over any bytes.
//!
//! Each promises more than not to panic: what was read and is written again reads the same. The
//! programs in `fuzz/` call them with bytes that a fuzzer finds, the test `decoders` with every file
//! that such runs left worth keeping.

use std::convert::Infallible;
use std::io;
use std::path::Path;

use jiff::tz::TimeZone;
use tandem_core::{ClientId, TaskId, Timestamp};
use tandem_exchange::{ExportTask, Taskrc, Types};
use tandem_remote::http::testing::{CHILD_BYTES_MAX, read_children};
use tandem_seal::{BoundId, KEY_BYTES, Key, NONCE_BYTES};
use tandem_server::config::{Config, Places};
use tandem_server::{account, heads};
use tandem_settings::{Environment, Settings};
use tandem_tasks::snapshot::ReadSnapshotError;
use tandem_tasks::{LocalOperation, Task, segment as segments, snapshot as snapshots};
use tandem_words::{Context, Filter, Modification, Vocabulary, WordsError, command};

/// A decoder by its name, which is also that of its program and its folders in `fuzz/`.
pub type Decoder = (&'static str, fn(&[u8]));

/// All of them.
pub const ALL: &[Decoder] = &[
    ("segment", segment),
    ("snapshot", snapshot),
    ("envelope", envelope),
    ("operation", operation),
    ("taskwarrior", taskwarrior),
    ("taskrc", taskrc),
    ("words", words),
    ("date", date),
    ("settings", settings),
    ("answer", answer),
    ("children", children),
    ("head", head),
    ("serve", serve),
];

/// Bytes of one input that are looked at where work grows with the square of it, or where a real
/// one is never long.
const WORDS_BYTES_MAX: usize = 4096;

/// A history segment, opened.
pub fn segment(bytes: &[u8]) {
    if let Ok(operations) = segments::read(bytes) {
        let written = segments::write(&operations);
        let again = segments::read(&written).expect("what we write can be read");
        assert_eq!(again, operations, "a segment comes back");
    }
}

/// A snapshot's body: zlib over JSON. Bytes that are no zlib are also taken as what is inside.
pub fn snapshot(bytes: &[u8]) {
    fn check(body: &[u8]) -> Result<(), ReadSnapshotError<Infallible>> {
        let tasks = snapshots::read_all(body)?;
        let again = snapshots::read_all(&snapshots::write(&tasks)).expect("ours can be read");
        assert_eq!(again, tasks, "a snapshot comes back");
        Ok(())
    }
    let _ = check(bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = snapshots::read_task(text);
    }
}

/// A sealed envelope, and the same bytes as what is sealed.
pub fn envelope(bytes: &[u8]) {
    let key = Key::from_bytes(&[7; KEY_BYTES]);
    let bound = BoundId::history_segment([9; 16]);
    assert!(tandem_seal::open(&key, bound, bytes).is_err(), "nobody guesses a tag");
    let sealed = tandem_seal::seal(&key, bound, [3; NONCE_BYTES], bytes);
    let opened = tandem_seal::open(&key, bound, sealed.as_bytes()).expect("ours opens");
    assert_eq!(opened.as_bytes(), bytes, "what was sealed comes back");
    if let (Some(at), mut spoilt) = (bytes.first(), sealed.into_bytes()) {
        let at = usize::from(*at) % spoilt.len();
        spoilt[at] ^= 1;
        assert!(tandem_seal::open(&key, bound, &spoilt).is_err(), "one bit is noticed");
    }
}

/// A local operation, as the replica's file and the real crate's keep it.
pub fn operation(bytes: &[u8]) {
    let Ok(operation) = serde_json::from_slice::<LocalOperation>(bytes) else { return };
    let written = serde_json::to_string(&operation).expect("an operation can be written");
    let again: LocalOperation = serde_json::from_str(&written).expect("ours can be read");
    assert_eq!(again, operation, "an operation comes back");
    for mut task in [None, Some(Task::default())] {
        if let Some(plain) = operation.to_operation() {
            plain.apply(&mut task);
        }
        operation.undo(&mut task);
    }
}

/// Taskwarrior's JSON.
pub fn taskwarrior(bytes: &[u8]) {
    let types = Types::new();
    let Ok(import) = tandem_exchange::read(bytes, &types) else { return };
    let tasks = import.records.iter().map(|record| ExportTask {
        uuid: record.uuid.unwrap_or(TaskId::from_bytes([1; 16])),
        task: &record.task,
        number: None,
        urgency: None,
    });
    let mut written = Vec::new();
    tandem_exchange::write(&mut written, tasks, &types).expect("memory can be written");
    tandem_exchange::read(&written[..], &types).expect("what we write can be read");
}

/// A `.taskrc`, which may include itself.
pub fn taskrc(bytes: &[u8]) {
    let home = Path::new("/home/somebody");
    let mut load = |path: &Path| match path.extension() {
        Some(_) => Err(io::ErrorKind::NotFound.into()),
        None => Ok(bytes.to_vec()),
    };
    if bytes.len() > WORDS_BYTES_MAX {
        return;
    }
    if let Ok(taskrc) = Taskrc::read(&home.join("taskrc"), Some(home), &mut load) {
        let _ =
            (taskrc.types(), taskrc.data_location(Some(home)), taskrc.sync_settings(Some(home)));
        let _ = taskrc.warnings().iter().map(ToString::to_string).count();
    }
}

fn context() -> Context {
    Context::new(Timestamp::from_seconds(1_790_000_000), TimeZone::UTC)
}

/// A command line, its words between line breaks or NULs: taken apart, as a filter, as a change.
pub fn words(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if text.len() > WORDS_BYTES_MAX {
        return;
    }
    let words: Vec<String> = text.split(['\n', '\0']).map(str::to_owned).collect();
    let (context, vocabulary) = (context(), Vocabulary::default());
    let resolve = |text: &str| match text {
        "1" => Ok(TaskId::from_bytes([1; 16])),
        _ => Err(WordsError::UnknownTask { word: text.into() }),
    };
    if let Err(error) = command::parse(&words) {
        let _ = (error.to_string(), error.hint());
    }
    match Filter::parse(&words, &context, &vocabulary, &resolve) {
        Ok(filter) => {
            let _ = (filter.explicit_ids().len(), filter.is_empty());
        }
        Err(error) => {
            let _ = (error.to_string(), error.hint());
        }
    }
    if let Ok(modification) = Modification::parse(&words, &context, &vocabulary) {
        let mut task = Task::from_iter([("description", "milk"), ("status", "pending")]);
        task.set("due", Some("1790000000"));
        let _ = modification.add(&context, &resolve);
        let _ = modification.apply(Some(&task), &context, &resolve);
    }
}

/// A date as people type it.
pub fn date(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let context = context();
    if let Ok(moment) = tandem_words::parse_date(text, &context) {
        let shown = tandem_words::dates::date_time(moment.seconds(), &context);
        let again = tandem_words::parse_date(&shown, &context).expect("what we show can be read");
        assert_eq!(again.seconds(), moment.seconds(), "{text:?} is shown as {shown}");
    }
}

/// A settings file.
pub fn settings(bytes: &[u8]) {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let file = folder.path().join("config.toml");
    std::fs::write(&file, bytes).expect("a file can be written");
    let environment = Environment::from_variables([("HOME", "/home/somebody")]);
    match Settings::load(&environment, Some(&file)) {
        Ok(settings) => {
            let _ = (settings.list().len(), settings.remote().is_ok());
            let _ = (settings.data_dir().is_ok(), settings.server_dir().is_ok());
        }
        Err(error) => {
            let _ = (error.to_string(), error.hint());
        }
    }
}

/// Characters of an answer's text that a person may have to read.
const FAILURE_CHARACTERS_MAX: usize = 400;

/// A server's answer: status and headers, one a line, then an empty line and the body.
pub fn answer(bytes: &[u8]) {
    let split = bytes.windows(2).position(|two| two == b"\n\n");
    let (head, body) = split.map_or((bytes, &[][..]), |at| (&bytes[..at], &bytes[at + 2..]));
    let head = String::from_utf8_lossy(head);
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.trim().parse().ok()).unwrap_or(200);
    let headers: Vec<(&str, &str)> = lines.filter_map(|line| line.split_once(": ")).collect();
    for failure in tandem_remote::http::testing::read_answer(status, &headers, body) {
        let told = failure.map(|failure| failure.to_string()).unwrap_or_default();
        assert!(told.chars().count() <= FAILURE_CHARACTERS_MAX, "too much to read: {told}");
        assert!(!told.chars().any(char::is_control), "for a person's eyes: {told:?}");
    }
}

/// A streamed answer with many versions.
pub fn children(bytes: &[u8]) {
    let (versions, end) = read_children(bytes);
    let mut written = Vec::new();
    for (version, body) in &versions {
        assert!(!version.is_nil() && body.len() as u64 <= CHILD_BYTES_MAX, "a limit was passed");
        written.extend(version.to_bytes());
        written.extend(u32::try_from(body.len()).expect("it is limited").to_be_bytes());
        written.extend(body);
    }
    assert!(bytes.starts_with(&written), "what was read is what came");
    if let Some(is_all) = end {
        written.extend([0; 16]);
        written.push(u8::from(!is_all));
        assert_eq!(bytes, written, "nothing comes after the end");
    }
}

/// What visitors and proxies say of themselves in a head: X-Forwarded-For, then a line break, then
/// Authorization.
pub fn head(bytes: &[u8]) {
    let split = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (forwarded, authorization) = (&bytes[..split], bytes.get(split + 1..).unwrap_or_default());
    let near = ["127.0.0.0/8", "::1"].map(|text| text.parse().expect("a network"));
    let read = |peer: [u8; 4]| heads::read_head(peer.into(), &near, forwarded, authorization);
    let far = [198, 51, 100, 1];
    if let (Some(strange), Some(behind)) = (read(far), read([127, 0, 0, 1])) {
        assert_eq!(strange.address, std::net::IpAddr::from(far), "nobody's word counts");
        assert!(!strange.is_local, "another machine is not this one");
        // A header that is empty says nothing of anybody.
        let says_nothing = forwarded.trim_ascii().is_empty();
        assert!(!behind.is_local || behind.address.is_loopback() || says_nothing);
        let name = strange.account.filter(|name| !name.is_empty());
        assert!(name.is_none_or(|name| account::check_name(&name).is_ok()), "it has a limit");
    }
}

/// The server's configuration: a file, and the same bytes as words of the command line, one a line.
pub fn serve(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if text.len() > WORDS_BYTES_MAX {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder can be made");
    let file = folder.path().join("serve.toml");
    std::fs::write(&file, bytes).expect("a file can be written");
    let words: Vec<String> = text.lines().map(str::to_owned).collect();
    let named = Places { named: Some(file), usual: None };
    for read in
        [Config::read(&[], |_| None, &named), Config::read(&words, |_| None, &Places::default())]
    {
        let told = match read {
            // What a person wrote into an address is no id, whatever it looks like.
            Ok(mut config) => {
                config.listen.clear();
                let shown: Vec<String> = config
                    .shown()
                    .iter()
                    .filter(|one| one.key.is_hidden())
                    .filter_map(|one| one.value.as_ref().map(ToString::to_string))
                    .collect();
                format!("{config:?} {shown:?}")
            }
            Err(error) => format!("{error} {}", error.hint()),
        };
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let ids = text.split(|c| !is_word(c)).filter(|word| word.parse::<ClientId>().is_ok());
        for id in ids {
            assert!(!told.contains(id), "a credential is repeated: {told}");
        }
    }
}
