-- The credits ledger. Rows of transactions and reservation_changes are facts and never change. A reservation's row is
-- the fact of its creation, beside which status, expires_at, cancelled_at and late are a cache of what followed: its
-- debit in transactions, or rows of reservation_changes. The balances are a cache of both. `tallybook verify` rebuilds.
-- Amounts are microcredits. Ids begin with their instant, so that their indexes grow at the end.

CREATE TABLE accounts (
    seq          INTEGER PRIMARY KEY,
    id           TEXT NOT NULL UNIQUE,
    org_id       TEXT NOT NULL,
    external_id  TEXT,
    name         TEXT,
    email        TEXT,
    metadata     TEXT,                -- JSON object, as sent
    created_at   INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX accounts_by_external_id ON accounts (org_id, external_id) WHERE external_id IS NOT NULL;
CREATE INDEX accounts_by_org ON accounts (org_id, created_at);

CREATE TABLE balances (               -- apart from accounts, whose metadata may be long: this row changes with every command
    account      INTEGER PRIMARY KEY REFERENCES accounts (seq),
    balance      INTEGER NOT NULL CHECK (balance <= 8589934591999999),
    reserved     INTEGER NOT NULL,    -- by pending rows of reservations that expire after updated_at
    transactions INTEGER NOT NULL DEFAULT 0,
    reservations INTEGER NOT NULL DEFAULT 0, -- how many rows there are: counting millions for each page takes long
    updated_at   INTEGER NOT NULL,    -- never falls
    CHECK (0 <= reserved AND reserved <= balance)
) STRICT;

CREATE TABLE reservations (
    seq          INTEGER PRIMARY KEY,
    id           TEXT NOT NULL UNIQUE,
    org_id       TEXT NOT NULL,
    account      INTEGER NOT NULL REFERENCES accounts (seq),
    amount       INTEGER NOT NULL CHECK (amount > 0),
    status       TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    cancelled_at INTEGER,
    late         INTEGER NOT NULL DEFAULT 0,
    description  TEXT,
    metadata     TEXT
) STRICT;
CREATE INDEX reservations_by_account ON reservations (account, created_at);
CREATE INDEX reservations_due ON reservations (expires_at) WHERE status = 'pending';
CREATE INDEX reservations_pending ON reservations (account, expires_at, amount) WHERE status = 'pending';

CREATE TABLE reservation_changes (    -- extended, cancelled, expired, closed; a confirmation is its debit
    seq            INTEGER PRIMARY KEY,
    org_id         TEXT NOT NULL,
    reservation    INTEGER NOT NULL REFERENCES reservations (seq),
    kind           TEXT NOT NULL,
    at             INTEGER NOT NULL,
    expires_before INTEGER,           -- of an extension
    expires_after  INTEGER
) STRICT;
CREATE INDEX reservation_changes_in_order ON reservation_changes (reservation);

CREATE TABLE transactions (           -- an account's instants never fall, so that (created_at, seq) is its order
    seq            INTEGER PRIMARY KEY,
    id             TEXT NOT NULL UNIQUE,
    org_id         TEXT NOT NULL,
    account        INTEGER NOT NULL REFERENCES accounts (seq),
    reservation    INTEGER REFERENCES reservations (seq),
    type           TEXT NOT NULL,
    amount         INTEGER NOT NULL CHECK (amount >= 0),
    balance_after  INTEGER NOT NULL,
    reserved_after INTEGER NOT NULL,
    description    TEXT,
    metadata       TEXT,
    created_at     INTEGER NOT NULL
) STRICT;
CREATE INDEX transactions_by_account ON transactions (account, created_at);
CREATE INDEX transactions_by_org ON transactions (org_id, created_at);
CREATE UNIQUE INDEX transactions_one_per_reservation ON transactions (reservation) WHERE reservation IS NOT NULL;

-- Every ledger command may leave an outcome. Under a wide primary key of random callers' keys each touched pages of its
-- own; here the rows are appended and only sixteen bytes of each go to a random place.
DROP TABLE idempotency;
CREATE TABLE outcomes (               -- what repeats of a write are answered with
    seq          INTEGER PRIMARY KEY,
    org_id       TEXT NOT NULL,
    request      BLOB NOT NULL,       -- hash of org, caller, method, path and Idempotency-Key
    body_hash    BLOB NOT NULL,
    outcome      TEXT NOT NULL,       -- JSON
    created_at   INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX outcomes_by_request ON outcomes (request);
