INSERT INTO tandem_conflict (
    id, at, task, property, base, kept, lost, lost_here, lost_task, description, resolved
) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
ON CONFLICT (id) DO UPDATE SET
    at = excluded.at,
    task = excluded.task,
    property = excluded.property,
    base = excluded.base,
    kept = excluded.kept,
    lost = excluded.lost,
    lost_here = excluded.lost_here,
    lost_task = excluded.lost_task,
    description = excluded.description,
    resolved = excluded.resolved
