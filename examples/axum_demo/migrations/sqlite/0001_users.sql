-- The first version. user_version, which is in the place of a table of migrations here, told later starts that it was done.

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
