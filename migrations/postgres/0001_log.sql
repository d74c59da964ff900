-- The log and what stands beside it, in a schema of its own that the connection's search_path names.
-- Times that end in _us, and committed_at, are microseconds since 1970-01-01 UTC.

CREATE TABLE meta (
    id SMALLINT PRIMARY KEY CHECK (id = 1),
    format BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    build TEXT NOT NULL
);

-- The end of the log. Its one row is what a writer compares, locks and moves; the lease runs by the database's clock.
CREATE TABLE head (
    id SMALLINT PRIMARY KEY CHECK (id = 1),
    position BIGINT NOT NULL,
    hash BYTEA NOT NULL,
    epoch BIGINT NOT NULL,
    node TEXT NOT NULL,
    committed_at BIGINT NOT NULL,
    telemetry_bytes BIGINT NOT NULL, -- ever written
    lease_until TIMESTAMPTZ NOT NULL
);
INSERT INTO head VALUES (1, 0, decode(repeat('00', 32), 'hex'), 0, '', 0, 0, '-infinity');

-- telemetry_through: bytes of telemetry ever written, with this commit's, so that no scan is needed to know how much lies after it.
CREATE TABLE commits (
    first_position BIGINT PRIMARY KEY,
    last_position BIGINT NOT NULL,
    committed_at BIGINT NOT NULL,
    format BIGINT NOT NULL,
    node TEXT NOT NULL,
    epoch BIGINT NOT NULL,
    reacted_cause BIGINT NOT NULL,
    reacted_index BIGINT NOT NULL,
    kept_count BIGINT NOT NULL,
    telemetry_count BIGINT NOT NULL,
    kept_hash BYTEA NOT NULL,
    telemetry_hash BYTEA NOT NULL,
    prev_hash BYTEA NOT NULL,
    hash BYTEA NOT NULL,
    telemetry_through BIGINT NOT NULL,
    kept BYTEA NOT NULL,
    telemetry BYTEA -- NULL once retention has cut it
);
-- The blobs are packed already; to try again costs more than it saves.
ALTER TABLE commits ALTER COLUMN kept SET STORAGE EXTERNAL;
ALTER TABLE commits ALTER COLUMN telemetry SET STORAGE EXTERNAL;

-- Runs of commits that held nothing but telemetry, after a cut.
CREATE TABLE seals (
    first_position BIGINT PRIMARY KEY,
    last_position BIGINT NOT NULL,
    committed_at BIGINT NOT NULL,
    epoch BIGINT NOT NULL,
    prev_hash BYTEA NOT NULL,
    last_hash BYTEA NOT NULL,
    commits BIGINT NOT NULL,
    counts BYTEA NOT NULL
);

-- Folds that replace what was cut before them: truth, as the log is.
CREATE TABLE bases (
    position BIGINT PRIMARY KEY,
    schema BIGINT NOT NULL,
    build TEXT NOT NULL,
    at BIGINT NOT NULL,
    hash BYTEA NOT NULL,
    bytes BYTEA NOT NULL
);

-- Folds that make a start faster: a cache.
CREATE TABLE snapshots (
    position BIGINT PRIMARY KEY,
    schema BIGINT NOT NULL,
    build TEXT NOT NULL,
    at BIGINT NOT NULL,
    hash BYTEA NOT NULL,
    bytes BYTEA NOT NULL
);

-- One readable row for each business event, written in the transaction of its commit.
CREATE TABLE audit_events (
    position BIGINT PRIMARY KEY,
    stream_kind TEXT NOT NULL,
    stream_id TEXT NOT NULL,
    version BIGINT NOT NULL,
    event_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    schema BIGINT NOT NULL,
    at TEXT NOT NULL,
    at_us BIGINT NOT NULL,
    by TEXT NOT NULL,
    command_id TEXT,
    causation BIGINT,
    correlation BIGINT NOT NULL,
    payload JSON NOT NULL, -- not JSONB: that changes numbers and refuses some strings
    UNIQUE (stream_kind, stream_id, version)
);

-- What no event may hold: hashes of passwords, tokens, invites and codes, and sealed keys.
CREATE TABLE vault (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    bytes BYTEA NOT NULL,
    created_at BIGINT NOT NULL
);

-- How far each read model in SQL has come; moved in the transaction that moves the model.
CREATE TABLE projections (
    name TEXT PRIMARY KEY,
    position BIGINT NOT NULL,
    schema BIGINT NOT NULL
);

CREATE TABLE status_changes (
    position BIGINT PRIMARY KEY,
    stream_kind TEXT NOT NULL,
    stream_id TEXT NOT NULL,
    at TEXT NOT NULL,
    at_us BIGINT NOT NULL,
    old_status BIGINT NOT NULL,
    new_status BIGINT NOT NULL,
    warnings TEXT NOT NULL
);
