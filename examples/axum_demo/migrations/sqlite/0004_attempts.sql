-- Attempts to sign in that failed lately, or are under way. Times are in milliseconds since 1970.

CREATE TABLE attempts (
    -- SHA-256 of the account's email, of the client's address, or of both: what people type for an email may be a secret.
    subject  BLOB PRIMARY KEY,
    failures INTEGER NOT NULL,
    last     INTEGER NOT NULL,
    -- How long the next one has to wait after the last.
    delay    INTEGER NOT NULL,
    expires  INTEGER NOT NULL
) STRICT;

CREATE INDEX attempts_by_expiry ON attempts (expires);

-- Where an account has been signed in from lately: also hashes.
CREATE TABLE known_addresses (
    account BLOB NOT NULL,
    address BLOB NOT NULL,
    seen    INTEGER NOT NULL,
    PRIMARY KEY (account, address)
) STRICT;

CREATE INDEX known_addresses_by_time ON known_addresses (seen);
