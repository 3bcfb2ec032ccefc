-- Sessions that were ended by a sign-out, for as long as one of their tokens may live.

CREATE TABLE ended_sessions (
    sid         TEXT PRIMARY KEY,
    -- In seconds since 1970.
    last_expiry BIGINT NOT NULL
);

CREATE INDEX ended_sessions_by_expiry ON ended_sessions (last_expiry);
