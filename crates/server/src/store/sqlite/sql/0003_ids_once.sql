-- An id is given once: whoever still holds that of a client or version that was removed must never
-- find another one's under it. SQLite has no way but to make the tables anew. References are not
-- watched meanwhile (see `migrate`).

CREATE TABLE clients_new (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
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
    -- never goes back, whatever the clock does
    changed_at INTEGER NOT NULL,
    seen_day INTEGER NOT NULL,
    -- the last day on which a stored version was asked for, and the lowest position of that day
    asked_day INTEGER NOT NULL,
    asked_number INTEGER NOT NULL
) STRICT;
INSERT INTO clients_new SELECT * FROM clients ORDER BY id;
DROP TABLE clients;
ALTER TABLE clients_new RENAME TO clients;

CREATE TABLE versions_new (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    client INTEGER NOT NULL REFERENCES clients (id),
    number INTEGER NOT NULL,
    version BLOB NOT NULL CHECK (length(version) = 16),
    parent BLOB NOT NULL CHECK (length(parent) = 16),
    added_at INTEGER NOT NULL,
    -- last, so that the others are read without it
    segment BLOB NOT NULL
) STRICT;
INSERT INTO versions_new SELECT * FROM versions ORDER BY id;
DROP TABLE versions;
ALTER TABLE versions_new RENAME TO versions;
-- The second guard of the chain, and the way to a child.
CREATE UNIQUE INDEX versions_by_parent ON versions (client, parent);
CREATE UNIQUE INDEX versions_by_number ON versions (client, number);
