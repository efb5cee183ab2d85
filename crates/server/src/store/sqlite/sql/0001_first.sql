-- What a server keeps of its clients. Ids are their 16 bytes, instants whole seconds since 1970,
-- days whole days since then. "number" counts the versions of a client from 1 in the order of its chain.

CREATE TABLE facts (
    name TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE clients (
    id INTEGER PRIMARY KEY,
    client_id BLOB NOT NULL UNIQUE CHECK (length(client_id) = 16),
    -- nil while there is no version
    latest BLOB NOT NULL CHECK (length(latest) = 16),
    latest_number INTEGER NOT NULL,
    -- of the oldest version that is there; latest_number + 1 if none is
    first_number INTEGER NOT NULL,
    -- of the bodies of the versions that are there
    version_bytes INTEGER NOT NULL,
    versions_since_snapshot INTEGER NOT NULL,
    snapshot_number INTEGER,
    snapshot_at INTEGER,
    -- the first version came after one that was never here, and there has been no snapshot yet
    is_adopted INTEGER NOT NULL,
    made_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    seen_day INTEGER NOT NULL,
    -- the last day on which a stored version was asked for, and the lowest position of that day
    asked_day INTEGER NOT NULL,
    asked_number INTEGER NOT NULL
) STRICT;

CREATE TABLE versions (
    id INTEGER PRIMARY KEY,
    client INTEGER NOT NULL REFERENCES clients (id),
    number INTEGER NOT NULL,
    version BLOB NOT NULL CHECK (length(version) = 16),
    parent BLOB NOT NULL CHECK (length(parent) = 16),
    added_at INTEGER NOT NULL,
    -- last, so that the others are read without it
    segment BLOB NOT NULL
) STRICT;
-- The second guard of the chain, and the way to a child.
CREATE UNIQUE INDEX versions_by_parent ON versions (client, parent);
CREATE UNIQUE INDEX versions_by_number ON versions (client, number);

-- The newest and the one before.
CREATE TABLE snapshots (
    id INTEGER PRIMARY KEY,
    client INTEGER NOT NULL REFERENCES clients (id),
    number INTEGER NOT NULL,
    version BLOB NOT NULL CHECK (length(version) = 16),
    stored_at INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX snapshots_by_number ON snapshots (client, number);

-- The highest number of which a snapshot was stored on a day, replaced ones included: since when it
-- was there decides what may go.
CREATE TABLE snapshot_days (
    client INTEGER NOT NULL REFERENCES clients (id),
    day INTEGER NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (client, day)
) STRICT, WITHOUT ROWID;

-- The lowest position from which a stored version was asked for on a day.
CREATE TABLE asked_days (
    client INTEGER NOT NULL REFERENCES clients (id),
    day INTEGER NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (client, day)
) STRICT, WITHOUT ROWID;
