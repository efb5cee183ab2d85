INSERT INTO tandem_step (id, first, last, at, origin, undone) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
ON CONFLICT (id) DO UPDATE SET
    first = excluded.first,
    last = excluded.last,
    at = excluded.at,
    origin = excluded.origin,
    undone = excluded.undone
