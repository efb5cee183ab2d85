-- What a server keeps of its clients. Instants are whole seconds since 1970, days whole days since
-- then. "number" counts the versions of a client from 1 in the order of its chain.
--
-- Nodes of the version before go on while this runs and after it: a later migration may add, and
-- take away only what the version before no longer uses.

CREATE TABLE tandem.facts (
    name text PRIMARY KEY,
    value bytea NOT NULL
);

CREATE TABLE tandem.clients (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    client_id uuid NOT NULL UNIQUE,
    -- nil while there is no version
    latest uuid NOT NULL,
    latest_number bigint NOT NULL,
    -- of the oldest version that is there; latest_number + 1 if none is
    first_number bigint NOT NULL,
    -- of the bodies of the versions that are there
    version_bytes bigint NOT NULL,
    versions_since_snapshot bigint NOT NULL,
    snapshot_number bigint,
    snapshot_at bigint,
    -- the first version came after one that was never here, and there has been no snapshot yet
    is_adopted boolean NOT NULL,
    made_at bigint NOT NULL,
    changed_at bigint NOT NULL,
    seen_day bigint NOT NULL,
    -- the last day on which a stored version was asked for, and the lowest position of that day
    asked_day bigint NOT NULL,
    asked_number bigint NOT NULL
-- Each version changes its client's row, in no indexed column: with room in the page that touches no
-- index and needs no vacuum.
) WITH (fillfactor = 50);

-- No foreign key to the client: it would lock and write the client's row a second time for each
-- version. Clients are removed with everything of theirs in one statement.
CREATE TABLE tandem.versions (
    client bigint NOT NULL,
    number bigint NOT NULL,
    version uuid NOT NULL,
    parent uuid NOT NULL,
    added_at bigint NOT NULL,
    segment bytea NOT NULL,
    PRIMARY KEY (client, number)
);
-- The second guard of the chain, and the way to a child.
CREATE UNIQUE INDEX versions_by_parent ON tandem.versions (client, parent);
-- Sealed bytes cannot be compressed.
ALTER TABLE tandem.versions ALTER COLUMN segment SET STORAGE EXTERNAL;

-- The newest and the one before.
CREATE TABLE tandem.snapshots (
    client bigint NOT NULL,
    number bigint NOT NULL,
    version uuid NOT NULL,
    stored_at bigint NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (client, number)
);
ALTER TABLE tandem.snapshots ALTER COLUMN body SET STORAGE EXTERNAL;

-- The highest number of which a snapshot was stored on a day, replaced ones included: since when it
-- was there decides what may go.
CREATE TABLE tandem.snapshot_days (
    client bigint NOT NULL,
    day bigint NOT NULL,
    number bigint NOT NULL,
    PRIMARY KEY (client, day)
);

-- The lowest position from which a stored version was asked for on a day.
CREATE TABLE tandem.asked_days (
    client bigint NOT NULL,
    day bigint NOT NULL,
    number bigint NOT NULL,
    PRIMARY KEY (client, day)
);
