-- Many confirmations share a commit, and a row holds all that it promised: one statement puts it here, one delivers it.
DROP TABLE outbox;
CREATE TABLE outbox (                 -- effects on the event store that this file's commits promised
    id              INTEGER PRIMARY KEY,
    events          INTEGER NOT NULL, -- how many there are in the payload
    payload         BLOB NOT NULL
) STRICT;

-- Which usage explains which transaction. A link commits with the ledger change that its usage came with, or right
-- after the event that named the transaction. Under this key links are appended, and found by transaction.

CREATE TABLE usage_links (
    transaction_seq INTEGER NOT NULL, -- only ever taken from a row of transactions
    uid             BLOB NOT NULL,    -- of the event
    org_id          TEXT NOT NULL,
    occurred_at     INTEGER NOT NULL,
    content         BLOB,             -- hash of the usage that the transaction's reservation was confirmed with
    PRIMARY KEY (transaction_seq, uid)
) STRICT, WITHOUT ROWID;

CREATE TABLE linked (                 -- the commit of the event store up to which every event has its link
    seq             INTEGER NOT NULL
) STRICT;
INSERT INTO linked (seq) VALUES (0);
