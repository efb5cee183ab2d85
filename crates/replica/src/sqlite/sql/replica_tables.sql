-- The tables of a TaskChampion 3 replica, schema (0,2): protocols/taskchampion.md section 15.
-- The type STRING (numeric affinity to SQLite) is the reference's and is kept.
-- The columns `synced` and `uuid` of `operations` are added apart, since files of 0.8 lack them.
CREATE TABLE IF NOT EXISTS operations (id INTEGER PRIMARY KEY AUTOINCREMENT, data STRING);
CREATE TABLE IF NOT EXISTS sync_meta (key STRING PRIMARY KEY, value STRING);
CREATE TABLE IF NOT EXISTS tasks (uuid STRING PRIMARY KEY, data STRING);
CREATE TABLE IF NOT EXISTS working_set (id INTEGER PRIMARY KEY, uuid STRING);
CREATE TABLE IF NOT EXISTS version (
    singleton INTEGER PRIMARY KEY CHECK (singleton = 0),
    major INTEGER,
    minor INTEGER
);
