-- A session begins with a sign-in and lives as long as its refresh tokens are used. All times are in seconds since 1970.

CREATE TABLE sessions (
    sid       TEXT PRIMARY KEY,
    -- NULL if an earlier version gave out its tokens.
    user_id   BIGINT REFERENCES users (id) ON DELETE CASCADE,
    began     BIGINT NOT NULL,
    -- Until when it can be refreshed; once it has ended, until when its last access token may live.
    expires   BIGINT NOT NULL,
    refreshes BIGINT NOT NULL DEFAULT 0,
    -- By a sign-out, or because a refresh token was used twice.
    ended     BIGINT
);

CREATE INDEX sessions_by_user ON sessions (user_id);
CREATE INDEX sessions_by_expiry ON sessions (expires);

CREATE TABLE refresh_tokens (
    -- SHA-256.
    hash BYTEA PRIMARY KEY,
    sid  TEXT NOT NULL REFERENCES sessions (sid) ON DELETE CASCADE,
    used BIGINT
);

CREATE INDEX refresh_tokens_by_session ON refresh_tokens (sid);

INSERT INTO sessions (sid, began, expires, ended) SELECT sid, last_expiry, last_expiry, last_expiry FROM ended_sessions;
DROP TABLE ended_sessions;
