-- Plans, which account is on which, and the grants made. Rows of plan_grants are facts and never change; granted and
-- next_grant_at of account_plans follow from them. Amounts are microcredits.

CREATE TABLE plans (
    seq           INTEGER PRIMARY KEY,
    id            TEXT NOT NULL UNIQUE,
    org_id        TEXT NOT NULL,
    name          TEXT NOT NULL,
    description   TEXT,
    price         TEXT,               -- a decimal, as given
    credits       INTEGER NOT NULL CHECK (credits > 0),
    interval      TEXT NOT NULL,
    occurrences   INTEGER,            -- null: without end
    accumulate    INTEGER NOT NULL,
    active        INTEGER NOT NULL,
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL
) STRICT;
CREATE INDEX plans_by_org ON plans (org_id, created_at);

CREATE TABLE account_plans (
    seq           INTEGER PRIMARY KEY,
    id            TEXT NOT NULL UNIQUE,
    org_id        TEXT NOT NULL,
    account       INTEGER NOT NULL REFERENCES accounts (seq),
    plan          INTEGER NOT NULL REFERENCES plans (seq),
    created_at    INTEGER NOT NULL,   -- where it starts
    deferred      INTEGER NOT NULL,
    expires_at    INTEGER,            -- end of the last period, or where it was ended; null: without end
    open          INTEGER NOT NULL DEFAULT 1,  -- 0: replaced or removed
    granted       INTEGER NOT NULL DEFAULT 0,
    next_grant_at INTEGER             -- null: none will follow
) STRICT;
CREATE UNIQUE INDEX account_plans_one_open ON account_plans (account) WHERE open = 1;
CREATE INDEX account_plans_by_account ON account_plans (account, created_at);
CREATE INDEX account_plans_due ON account_plans (next_grant_at) WHERE next_grant_at IS NOT NULL;

CREATE TABLE plan_grants (            -- the key is what makes each grant happen once
    account_plan  INTEGER NOT NULL REFERENCES account_plans (seq),
    number        INTEGER NOT NULL,
    org_id        TEXT NOT NULL,
    due_at        INTEGER NOT NULL,
    credit        INTEGER NOT NULL UNIQUE REFERENCES transactions (seq),
    expirable     INTEGER NOT NULL CHECK (expirable >= 0),  -- unspent right after it, of what does not accumulate
    PRIMARY KEY (account_plan, number)
) STRICT, WITHOUT ROWID;

-- What was debited since a grant is what came in since then less what the balance rose by: credits are few, debits many.
CREATE INDEX transactions_credits ON transactions (account) WHERE type = 'credit';
