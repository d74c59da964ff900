-- The log and what stands beside it. Times that end in _us, and committed_at, are microseconds since 1970-01-01 UTC.

CREATE TABLE meta (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    format INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    build TEXT NOT NULL
);

-- The end of the log. Its one row is what a writer compares and moves.
CREATE TABLE head (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    position INTEGER NOT NULL,
    hash BLOB NOT NULL,
    epoch INTEGER NOT NULL,
    node TEXT NOT NULL,
    committed_at INTEGER NOT NULL,
    telemetry_bytes INTEGER NOT NULL -- ever written
);
INSERT INTO head VALUES (1, 0, zeroblob(32), 0, '', 0, 0);

-- telemetry_through: bytes of telemetry ever written, with this commit's, so that no scan is needed to know how much lies after it.
CREATE TABLE commits (
    first_position INTEGER PRIMARY KEY,
    last_position INTEGER NOT NULL,
    committed_at INTEGER NOT NULL,
    format INTEGER NOT NULL,
    node TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    reacted_cause INTEGER NOT NULL,
    reacted_index INTEGER NOT NULL,
    kept_count INTEGER NOT NULL,
    telemetry_count INTEGER NOT NULL,
    kept_hash BLOB NOT NULL,
    telemetry_hash BLOB NOT NULL,
    prev_hash BLOB NOT NULL,
    hash BLOB NOT NULL,
    telemetry_through INTEGER NOT NULL,
    kept BLOB NOT NULL,
    telemetry BLOB -- NULL once retention has cut it
);

-- Runs of commits that held nothing but telemetry, after a cut.
CREATE TABLE seals (
    first_position INTEGER PRIMARY KEY,
    last_position INTEGER NOT NULL,
    committed_at INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    prev_hash BLOB NOT NULL,
    last_hash BLOB NOT NULL,
    commits INTEGER NOT NULL,
    counts BLOB NOT NULL
);

-- Folds that replace what was cut before them: truth, as the log is.
CREATE TABLE bases (
    position INTEGER PRIMARY KEY,
    schema INTEGER NOT NULL,
    build TEXT NOT NULL,
    at INTEGER NOT NULL,
    hash BLOB NOT NULL,
    bytes BLOB NOT NULL
);

-- Folds that make a start faster: a cache.
CREATE TABLE snapshots (
    position INTEGER PRIMARY KEY,
    schema INTEGER NOT NULL,
    build TEXT NOT NULL,
    at INTEGER NOT NULL,
    hash BLOB NOT NULL,
    bytes BLOB NOT NULL
);

-- One readable row for each business event, written in the transaction of its commit.
CREATE TABLE audit_events (
    position INTEGER PRIMARY KEY,
    stream_kind TEXT NOT NULL,
    stream_id TEXT NOT NULL,
    version INTEGER NOT NULL,
    event_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    schema INTEGER NOT NULL,
    at TEXT NOT NULL,
    at_us INTEGER NOT NULL,
    by TEXT NOT NULL,
    command_id TEXT,
    causation INTEGER,
    correlation INTEGER NOT NULL,
    payload TEXT NOT NULL,
    UNIQUE (stream_kind, stream_id, version)
);

-- What no event may hold: hashes of passwords, tokens, invites and codes, and sealed keys.
CREATE TABLE vault (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    bytes BLOB NOT NULL,
    created_at INTEGER NOT NULL
) WITHOUT ROWID;

-- How far each read model in SQL has come; moved in the transaction that moves the model.
CREATE TABLE projections (
    name TEXT PRIMARY KEY,
    position INTEGER NOT NULL,
    schema INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE status_changes (
    position INTEGER PRIMARY KEY,
    stream_kind TEXT NOT NULL,
    stream_id TEXT NOT NULL,
    at TEXT NOT NULL,
    at_us INTEGER NOT NULL,
    old_status INTEGER NOT NULL,
    new_status INTEGER NOT NULL,
    warnings TEXT NOT NULL
);
