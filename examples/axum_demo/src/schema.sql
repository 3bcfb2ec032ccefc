-- The first start runs this in one transaction. user_version tells later starts that it was done, so that a user who
-- has been deleted does not come back.

CREATE TABLE users (
    -- AUTOINCREMENT: an id is never given out again, or the token of a deleted user would be good for the next one.
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    email         TEXT NOT NULL UNIQUE COLLATE NOCASE,
    first_name    TEXT NOT NULL,
    last_name     TEXT NOT NULL,
    password_hash TEXT NOT NULL
) STRICT;

-- The password is `okon`.
INSERT INTO users (email, first_name, last_name, password_hash)
VALUES ('eze@example.com', 'Eze', 'Sunday', '$2b$12$Gwf0uvxH3L7JLfo0CC/NCOoijK2vQ/wbgP.LeNup8vj6gg31IiFkm');

PRAGMA user_version = 1;
