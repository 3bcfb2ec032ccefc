-- A session begins with a sign-in and lives as long as its refresh tokens are used. All times are in seconds since 1970.

CREATE TABLE sessions (
    sid       TEXT PRIMARY KEY,
    -- NULL if an earlier version gave out its tokens.
    user_id   INTEGER REFERENCES users (id) ON DELETE CASCADE,
    began     INTEGER NOT NULL,
    -- Until when it can be refreshed; once it has ended, until when its last access token may live.
    expires   INTEGER NOT NULL,
    refreshes INTEGER NOT NULL DEFAULT 0,
    -- By a sign-out, or because a refresh token was used twice.
    ended     INTEGER
) STRICT;

CREATE INDEX sessions_by_user ON sessions (user_id);
CREATE INDEX sessions_by_expiry ON sessions (expires);

CREATE TABLE refresh_tokens (
    -- SHA-256.
    hash BLOB PRIMARY KEY,
    sid  TEXT NOT NULL REFERENCES sessions (sid) ON DELETE CASCADE,
    used INTEGER
) STRICT;

CREATE INDEX refresh_tokens_by_session ON refresh_tokens (sid);

INSERT INTO sessions (sid, began, expires, ended) SELECT sid, last_expiry, last_expiry, last_expiry FROM ended_sessions;
DROP TABLE ended_sessions;

-- So that the earlier versions take it for the database of another program.
PRAGMA user_version = 3;
