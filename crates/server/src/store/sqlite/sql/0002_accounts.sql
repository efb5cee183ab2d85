-- Who may use the server: accounts, their tokens, and client ids that belong to them or are shut out.

CREATE TABLE accounts (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    -- Argon2id, in the text form that names its own costs
    password TEXT NOT NULL,
    is_disabled INTEGER NOT NULL,
    made_at INTEGER NOT NULL
) STRICT;

-- SHA-256 of the token: 128 random bits need no slow hash.
CREATE TABLE tokens (
    hash BLOB NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
    account INTEGER NOT NULL REFERENCES accounts (id),
    scope TEXT NOT NULL CHECK (scope IN ('read', 'write')),
    made_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Client ids of which something is said, whether they have a history here or not.
CREATE TABLE client_access (
    client_id BLOB NOT NULL PRIMARY KEY CHECK (length(client_id) = 16),
    account INTEGER REFERENCES accounts (id),
    is_disabled INTEGER NOT NULL,
    made_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX client_access_by_account ON client_access (account);
