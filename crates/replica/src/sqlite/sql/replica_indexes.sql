CREATE INDEX IF NOT EXISTS operations_by_uuid ON operations (uuid);
CREATE INDEX IF NOT EXISTS operations_by_synced ON operations (synced);
INSERT OR REPLACE INTO version (singleton, major, minor) VALUES (0, 0, 2);
