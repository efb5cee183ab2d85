-- What the reference's tables cannot say (design section 3). Ids are dashed texts, instants are
-- RFC 3339 texts and tasks are JSON objects, so that a person can read them with `sqlite3`; only
-- `tandem_applied`, which is long and which nobody reads, has its ids as 16 bytes.
-- AUTOINCREMENT wherever a number is shown to people or kept elsewhere: it is never given twice.
CREATE TABLE IF NOT EXISTS tandem_meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS tandem_base (uuid TEXT PRIMARY KEY, data TEXT); -- NULL: absent there

CREATE TABLE IF NOT EXISTS tandem_step (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    at TEXT NOT NULL,
    origin TEXT NOT NULL, -- JSON
    undone INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS tandem_step_by_first ON tandem_step (first);

CREATE TABLE IF NOT EXISTS tandem_in_flight (
    singleton INTEGER PRIMARY KEY CHECK (singleton = 0),
    remote INTEGER NOT NULL,
    parent TEXT NOT NULL,
    digest BLOB NOT NULL,
    count INTEGER NOT NULL,
    ranges TEXT NOT NULL -- JSON: [[first, last], ...]
);

CREATE TABLE IF NOT EXISTS tandem_applied (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    version BLOB NOT NULL UNIQUE,
    parent BLOB NOT NULL,
    remote INTEGER NOT NULL,
    hole INTEGER NOT NULL,
    mark INTEGER NOT NULL DEFAULT 0, -- since 1.1
    sent TEXT -- since 1.2
);

CREATE TABLE IF NOT EXISTS tandem_remote (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL UNIQUE,
    label TEXT NOT NULL,
    last_base TEXT NOT NULL,
    answered INTEGER NOT NULL,
    needs_new_history INTEGER NOT NULL,
    joining INTEGER NOT NULL,
    proof BLOB,
    wanted_snapshot TEXT
);

CREATE TABLE IF NOT EXISTS tandem_conflict (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at TEXT NOT NULL,
    task TEXT NOT NULL,
    property TEXT,
    base TEXT,
    kept TEXT,
    lost TEXT,
    lost_here INTEGER NOT NULL,
    lost_task TEXT, -- JSON
    description TEXT NOT NULL,
    resolved INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS tandem_conflict_open ON tandem_conflict (id) WHERE resolved = 0;

INSERT OR REPLACE INTO tandem_meta (key, value) VALUES ('tandem_schema', '1.2');
