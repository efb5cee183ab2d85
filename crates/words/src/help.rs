//! What `ta help` says. The reference in `docs/reference/cli.md` is made of the same, as a test of
//! this crate sees to.

use std::fmt::Write as _;

use crate::command::Command;

/// Columns in which the overview shows how a line looks.
const USAGE_COLUMNS: usize = 40;

/// Columns of a line of running text.
const LINE_COLUMNS: usize = 90;

/// The words of filters and changes, and the flags of the program as a whole.
pub const WORDS: &str = "\
Filter words, joined by and: 3  1,2,5-7  56e0be07  +tag  -tag  status:pending  project:home
  due:friday  due.before:eom  priority:H  depends:3  all  limit:5  text
Changes: +tag  -tag  project:home  due:friday  wait:3d  scheduled:monday  until:eoy  priority:H
  depends:3,-5  recur:weekly  status:pending, and the user-defined attributes of your .taskrc.
  An empty value clears (due:). Every other word is the description (with start, stop,
  done and delete a note); after -- all words are.
Flags everywhere: --config FILE  --json  --quiet  --taskrc FILE (its user-defined attributes)
  --yes (change many tasks without asking)
";

/// All commands, and the words around them: `ta help`.
pub fn overview() -> String {
    let mut text = "Task lists that stay in step between machines.\n\n\
         Usage: ta [FILTER] COMMAND [CHANGES]\n\nCommands:\n"
        .to_owned();
    for command in Command::all() {
        let (usage, summary) = (command.usage(), command.summary());
        let _ = writeln!(text, "  {usage:<USAGE_COLUMNS$} {summary}");
    }
    let _ = writeln!(text, "{}\n{WORDS}", shortening());
    text.push_str("Settings: ta config list. The README has the exit codes and a cron line.\n");
    text
}

/// One command: `ta help COMMAND`.
pub fn about(command: Command) -> String {
    let mut text = format!("ta {}\n\n{}.\n", command.usage(), command.summary());
    let others = &command.names()[1..];
    if !others.is_empty() {
        let _ = writeln!(text, "Also: {}.", others.join(", "));
    }
    let more = details(command);
    if !more.is_empty() {
        let _ = write!(text, "\n{more}");
    }
    text
}

/// Which commands may be shortened.
pub fn shortening() -> String {
    let whole: Vec<&str> =
        Command::all().filter(|one| !one.can_shorten()).map(Command::name).collect();
    let text = format!("Commands may be shortened to three letters, but for {}.", whole.join(", "));
    // One line of a terminal is not enough.
    let mut lines = String::new();
    for word in text.split(' ') {
        let last = lines.rsplit('\n').next().unwrap_or_default().len();
        let blank = if last + 1 + word.len() > LINE_COLUMNS { "\n" } else { " " };
        lines.push_str(if lines.is_empty() { "" } else { blank });
        lines.push_str(word);
    }
    lines + "\n"
}

/// Flags and forms of one command; empty where its usage says all.
pub fn details(command: Command) -> &'static str {
    match command {
        Command::Serve => {
            "\
Flags:
  -l, --listen ADDRESS:PORT    where to listen (127.0.0.1:8080); may be repeated
  -d, --data-dir FOLDER        where the database is (tandem-server in the XDG data directory)
  -c, --database ADDRESS       a PostgreSQL in its place; or file:PATH of a file with its address
      --access open|accounts   serve every client id, or only those of accounts (open)
  -C, --allow-client-id UUID   serve only these clients; may be repeated
      --no-create-clients      serve only clients that are there already
      --allow-open-registration
                               let anybody who reaches the server keep lists there
      --tls-cert FILE, --tls-key FILE
                               speak TLS; the files are read again when they change
      --path-prefix /PATH      a path before all others, as a proxy passes it on
      --trusted-proxy ADDRESS  believe X-Forwarded-For of this proxy or network; may be repeated
      --public-url URL         where clients reach the server, for `ta server user add`
      --metrics-listen ADDRESS:PORT
                               where /metrics is (without it, on --listen for this machine)
      --snapshot-versions N    ask for a snapshot after so many versions (100)
      --snapshot-days N        ask for a snapshot after so many days (14)
      --grace-days N           keep versions at least so long after a snapshot of them (180)
      --versions-kept N        always keep the newest N versions (5)
      --disk-room-mb-min N     turn writes away with less room on the disk (200)
      --drain-seconds N        take requests so long after being told to end (0)
      --body-mib-max N         the largest body that is taken, in MiB (1 to 100; 100)
      --requests-max N, --connections-max N
                               what is worked on (256) and open (900) at once
      --log FILTER             what is logged (warn); info writes a line for each request
      --config FILE            a TOML file of these, written as in snapshot_days = 14
      --print-config           show every setting and where it comes from, and end

Variables: TA_SERVE_LISTEN and so on, TA_SERVE_CONFIG; the reference's own work too.
"
        }
        Command::Server => {
            "\
server client list [--reveal]     who has a history here; --reveal shows the client ids
server client show CLIENT         CLIENT is the first column of the list, or its first 4 characters
server client disable|enable CLIENT
                                  shut it out; let it in again. A whole client id may be one that
                                  never came; - reads CLIENT from standard input
server client give CLIENT NAME    make it the account's
server client take CLIENT         make it nobody's
server client rotate CLIENT       a new client id in its place, which begins empty; the old one
                                  is shut out
server client reset CLIENT        remove its history: it begins anew with its first replica
server client delete CLIENT       remove the client and its history
server client snapshot drop CLIENT
                                  remove its newest snapshot: the one before is handed out
server user add NAME              an account with a client id and tokens; the password comes
                                  from the terminal or standard input
server user client NAME           another client id for it, for another list
server user list
server user passwd|disable|enable NAME
server stats                      how much there is
server verify                     check every chain, snapshot, reference and sum
server gc [--force]               let go now what may go, and give space back; --force says that
                                  the date is right
server health                     ask the running server whether it is ready
server check-config               check the settings of `ta serve`, and nothing else
server backup FOLDER [--keep N]   a checked copy with the moment in its name, while the
                                  server runs; only the newest N stay (for PostgreSQL it
                                  names the command that does it)
server restore FILE [--force]     bring a backup back; --force puts what is there aside
server import FILE|FOLDER         take over a database of taskchampion-sync-server

They take the flags, variables and file of `ta serve` to find its storage, and are safe while
it runs, but for `restore`, which refuses.
"
        }
        Command::Next | Command::List => {
            "limit:N shows the first N. Tags in capitals are worked out, and asked for as any other:\n\
             PENDING WAITING ACTIVE COMPLETED DELETED READY BLOCKED UNBLOCKED BLOCKING OVERDUE DUE\n\
             YESTERDAY TODAY TOMORROW WEEK MONTH QUARTER YEAR SCHEDULED UNTIL ANNOTATED TAGGED\n\
             PROJECT PRIORITY TEMPLATE INSTANCE LATEST UDA ORPHAN\n"
        }
        Command::Add => "Prints the task's number.\n",
        Command::Log => "As `add`, with the status completed.\n",
        Command::Start | Command::Stop | Command::Done | Command::Delete => {
            "Text is put into a note beside it; tags and attributes change the task as with `modify`.\n"
        }
        Command::Append | Command::Prepend => {
            "Tags and attributes among the words change the task as with `modify`.\n"
        }
        Command::Denotate => {
            "Removes the note that is TEXT; if none is, the oldest one that contains it. If no task\n\
             has such a note, that is an error.\n"
        }
        Command::Count | Command::Uuids => {
            "Of all tasks that the filter means: `status:pending` leaves the ended ones out.\n"
        }
        Command::Undo => {
            "Before a sync by removing the change, after it by a compensating one. One command is\n\
             one step, however many tasks it changed.\n"
        }
        Command::Info => "`ta 3` does the same.\n",
        Command::Sync => {
            "Flags:\n  --join               join this list with the one at the server\n  \
             --new-history        begin a new history where none was found before\n  \
             --upload-difference  upload what a server that went back no longer has\n  \
             --wait SECONDS       wait for another sync of this replica (3)\n"
        }
        Command::Status => {
            "Asks nobody. Says also when the replica was last in step, and with whom.\n\n\
             Flags:\n  --server   ask the server, too, and say where it stands\n"
        }
        Command::Doctor => {
            "Settings, replica, folder, server, TLS, clock, client, secret, history, last sync: each\n\
             with a cure where it is not well. Changes nothing. The exit code is that of the first\n\
             thing that must be mended; 0 with warnings only.\n"
        }
        Command::Verify => {
            "Ends with 7 where the list was not joined with the one at the server or folder.\n\n\
             Flags:\n  --repair   take the server's state where ours differs\n"
        }
        Command::Export => {
            "Dates and numbers of user-defined attributes are written as such if a .taskrc\n\
             declares them.\n"
        }
        Command::Import => {
            "From a file or standard input (-): all of it or, if a record cannot be read, nothing.\n\
             An older record never beats a newer edit. A record needs a description, or the uuid of a\n\
             task that is here, and a known status; what was exported (it has a uuid and an id) is\n\
             taken as it is, with a warning. Circles of dependencies come in as they are, and are\n\
             named.\n\n\
             From the folder of a TaskChampion 3 replica into an empty one: with unsynced changes\n\
             and numbers, and the sync settings of its .taskrc (or of --taskrc FILE).\n"
        }
        Command::Conflicts => {
            "conflicts list [--all]   edits that lost, the unresolved ones\n\
             conflicts show ID        both values and the base\n\
             conflicts restore ID     set the value that lost again, as a new change; undoing that\n\
             \u{20}                        opens the conflict again\n\
             conflicts dismiss ID     put it aside\n"
        }
        Command::Config => {
            "config set KEY VALUE     VALUE may be - (standard input) or file:PATH\n\
             config get KEY\nconfig unset KEY\nconfig list\nconfig path\n"
        }
        Command::Gc => {
            "Renumbers tasks, purges deleted ones after 180 days, forgets old history, gives\n\
             space back.\n\n\
             Flags:\n  --rewrite   also rewrite the whole file to give space back\n"
        }
        _ => "",
    }
}
