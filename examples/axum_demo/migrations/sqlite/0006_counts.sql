-- Attempts and other events, counted in fixed windows of time.

DROP TABLE attempts;

CREATE TABLE counts (
    -- SHA-256 of what is counted: what people type for an email may be a secret.
    subject BLOB NOT NULL,
    -- The end of the window, in seconds since 1970.
    ends    INTEGER NOT NULL,
    count   INTEGER NOT NULL,
    PRIMARY KEY (subject, ends)
) STRICT;

CREATE INDEX counts_by_end ON counts (ends);
