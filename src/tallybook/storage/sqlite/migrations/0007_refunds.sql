-- Corrections of events that name a transaction are decided here: a row ends a revision of an event or begins one, and
-- each at most once. The event store only applies them; they reach it through the outbox.

CREATE TABLE usage_corrections (
    seq             INTEGER PRIMARY KEY,
    org_id          TEXT NOT NULL,
    uid             BLOB NOT NULL,    -- of the event
    occurred_at     INTEGER NOT NULL, -- of the event
    superseded      INTEGER,          -- null: a restore, which supersedes nothing
    replacement     INTEGER,          -- null: a void
    id              TEXT NOT NULL,    -- shared by all that was corrected in one go
    transaction_seq INTEGER NOT NULL REFERENCES transactions (seq),
    refund_seq      INTEGER REFERENCES transactions (seq)
) STRICT;
CREATE UNIQUE INDEX usage_corrections_ending ON usage_corrections (uid, superseded) WHERE superseded IS NOT NULL;
CREATE UNIQUE INDEX usage_corrections_beginning ON usage_corrections (uid, replacement) WHERE replacement IS NOT NULL;
CREATE INDEX usage_corrections_by_transaction ON usage_corrections (transaction_seq);
CREATE INDEX usage_corrections_by_org ON usage_corrections (org_id, seq);

ALTER TABLE outbox ADD COLUMN corrections BLOB; -- those of a commit, as MessagePack; null in a row of events
