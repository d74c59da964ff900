//! Cutting old telemetry: what stays is proved by a base whose hash is in the log.
