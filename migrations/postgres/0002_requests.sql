-- Requests, for people who query them: both follow the log, with their checkpoints in `projections`. Each has a retention of its
-- own, and the log is never cut beyond them.

-- One row for each request that ended.
CREATE TABLE requests (
    position BIGINT PRIMARY KEY,
    at_us BIGINT NOT NULL, -- when its end was recorded
    request_id TEXT NOT NULL,
    endpoint_id TEXT, -- NULL: it came to no endpoint
    model TEXT NOT NULL,
    api TEXT NOT NULL,
    outcome TEXT NOT NULL,
    http_status BIGINT, -- what the upstream said
    input_tokens BIGINT NOT NULL,
    output_tokens BIGINT NOT NULL,
    tokens_known TEXT NOT NULL,
    duration_us BIGINT NOT NULL,
    first_byte_us BIGINT,
    ending TEXT NOT NULL,
    client TEXT,
    key_id TEXT
);

-- Sums of a day, as days are counted in the proxy's zone when a request ends.
CREATE TABLE request_days (
    day TEXT NOT NULL, -- 2026-01-31
    endpoint_id TEXT NOT NULL, -- empty: requests that came to no endpoint
    model TEXT NOT NULL, -- empty: not told apart
    api TEXT NOT NULL,
    success BIGINT NOT NULL,
    failed BIGINT NOT NULL,
    input_tokens BIGINT NOT NULL,
    output_tokens BIGINT NOT NULL,
    duration_us BIGINT NOT NULL, -- of the successes
    speed_tokens BIGINT NOT NULL, -- of the samples of speed
    speed_us BIGINT NOT NULL,
    PRIMARY KEY (day, endpoint_id, model, api)
);
