-- Attempts to sign in that failed lately, or are under way. Times are in milliseconds since 1970.

CREATE TABLE attempts (
    -- SHA-256 of the account's email, of the client's address, or of both: what people type for an email may be a secret.
    subject  BYTEA PRIMARY KEY,
    failures BIGINT NOT NULL,
    last     BIGINT NOT NULL,
    -- How long the next one has to wait after the last.
    delay    BIGINT NOT NULL,
    expires  BIGINT NOT NULL
);

CREATE INDEX attempts_by_expiry ON attempts (expires);

-- Where an account has been signed in from lately: also hashes.
CREATE TABLE known_addresses (
    account BYTEA NOT NULL,
    address BYTEA NOT NULL,
    seen    BIGINT NOT NULL,
    PRIMARY KEY (account, address)
);

CREATE INDEX known_addresses_by_time ON known_addresses (seen);
