-- Compare and swap on the client's latest version, in one statement: one round trip, one commit.
--
--   $1 client id   $2 parent   $3 new version   $4 body   $5 now, null for the database's clock
--   $6 may create   $7 nil
--
-- "found" is what the statement's moment shows. If the parent is not the latest there, that is the
-- answer, and nothing is locked or written. Otherwise "locked" waits for whoever is changing the
-- client, and sees the row as they left it: that decides. A client made by somebody else since the
-- statement began is seen by neither; the statement is then sent again.
WITH clock AS MATERIALIZED (
    SELECT coalesce($5::bigint, floor(extract(epoch FROM now()))::bigint) AS now
), found AS MATERIALIZED (
    SELECT id, latest FROM tandem.clients WHERE client_id = $1::uuid
), made AS (
    INSERT INTO tandem.clients (client_id, latest, latest_number, first_number, version_bytes,
        versions_since_snapshot, is_adopted, made_at, changed_at, seen_day, asked_day, asked_number)
    SELECT $1, $3::uuid, 1, 1, octet_length($4::bytea), 1, $2::uuid <> $7::uuid, now, now,
        now / 86400, now / 86400 - 1, 0
    FROM clock
    WHERE $6::boolean AND NOT EXISTS (SELECT FROM found)
    ON CONFLICT (client_id) DO NOTHING
    RETURNING id, latest_number
), locked AS MATERIALIZED (
    SELECT clients.id, clients.latest, clients.latest_number, clients.snapshot_at,
        clients.versions_since_snapshot
    FROM found JOIN tandem.clients ON clients.id = found.id
    WHERE found.latest IN ($2, $7)
    FOR NO KEY UPDATE OF clients
), moved AS (
    UPDATE tandem.clients SET
        latest = $3,
        latest_number = locked.latest_number + 1,
        version_bytes = clients.version_bytes + octet_length($4),
        versions_since_snapshot = locked.versions_since_snapshot + 1,
        is_adopted = clients.is_adopted OR (locked.latest = $7 AND $2 <> $7),
        -- a clock that goes back makes nothing older than it is
        changed_at = greatest(clients.changed_at, now),
        seen_day = greatest(clients.changed_at, now) / 86400
    FROM locked, clock
    WHERE clients.id = locked.id AND locked.latest IN ($2, $7)
    RETURNING clients.id, clients.latest_number
), added AS (
    INSERT INTO tandem.versions (client, number, version, parent, added_at, segment)
    SELECT id, latest_number, $3, $2, now, $4
    FROM (TABLE made UNION ALL TABLE moved) AS client, clock
    RETURNING number
)
SELECT found.latest AS found, locked.latest AS locked, locked.snapshot_at,
    locked.versions_since_snapshot, now, EXISTS (SELECT FROM added) AS is_added
FROM clock LEFT JOIN found ON true LEFT JOIN locked ON true
