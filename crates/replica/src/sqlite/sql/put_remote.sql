INSERT INTO tandem_remote (
    id, key, label, last_base, answered, needs_new_history, joining, proof, wanted_snapshot
) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
ON CONFLICT (id) DO UPDATE SET
    key = excluded.key,
    label = excluded.label,
    last_base = excluded.last_base,
    answered = excluded.answered,
    needs_new_history = excluded.needs_new_history,
    joining = excluded.joining,
    proof = excluded.proof,
    wanted_snapshot = excluded.wanted_snapshot
