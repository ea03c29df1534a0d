-- Orgs, their settings as dated facts, keys, prices with their rates, and what makes writes repeatable and auditable.
-- All instants are integer microseconds since 1970, UTC.

CREATE TABLE orgs (
    id         TEXT PRIMARY KEY,
    name       TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE org_settings (           -- the newest fact of a name is in force
    org_id     TEXT NOT NULL REFERENCES orgs (id),
    name       TEXT NOT NULL,
    value      TEXT NOT NULL,         -- JSON
    set_at     INTEGER NOT NULL,
    set_by     TEXT NOT NULL
) STRICT;
CREATE INDEX org_settings_newest ON org_settings (org_id, name, set_at);

CREATE TABLE keys (
    id         TEXT PRIMARY KEY,
    org_id     TEXT NOT NULL REFERENCES orgs (id),
    hash       BLOB NOT NULL UNIQUE,  -- keyed hash of the secret text; the text itself is never stored
    hint       TEXT NOT NULL,         -- first characters, to recognise a key in a list
    name       TEXT NOT NULL,
    role       TEXT NOT NULL,
    scopes     TEXT NOT NULL,         -- JSON list
    user_id    TEXT,
    project_id TEXT,
    bootstrap  INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER
) STRICT;
CREATE INDEX keys_by_org ON keys (org_id, created_at, id);

CREATE TABLE prices (                 -- one version of a model's rate sheet; never edited
    id             TEXT PRIMARY KEY,
    org_id         TEXT,              -- null: valid for every org
    provider       TEXT,              -- null: whatever provider an event names
    model          TEXT NOT NULL,
    match          TEXT NOT NULL,
    mode           TEXT NOT NULL,
    effective_from INTEGER NOT NULL,
    effective_to   INTEGER,
    source         TEXT,
    supersedes     TEXT REFERENCES prices (id),
    recorded_at    INTEGER NOT NULL
) STRICT;
CREATE INDEX prices_by_org ON prices (org_id, recorded_at, id);
CREATE UNIQUE INDEX prices_superseded_once ON prices (supersedes) WHERE supersedes IS NOT NULL;

CREATE TABLE rates (
    price_id   TEXT NOT NULL REFERENCES prices (id),
    unit       TEXT NOT NULL,
    usd        TEXT NOT NULL,         -- exact decimal, for `per` units
    per        INTEGER NOT NULL,
    PRIMARY KEY (price_id, unit)
) STRICT, WITHOUT ROWID;

CREATE TABLE idempotency (
    org_id     TEXT NOT NULL,
    caller     TEXT NOT NULL,
    method     TEXT NOT NULL,
    path       TEXT NOT NULL,
    key        TEXT NOT NULL,
    body_hash  BLOB NOT NULL,
    outcome    TEXT NOT NULL,         -- JSON
    created_at INTEGER NOT NULL,
    PRIMARY KEY (org_id, caller, method, path, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_by_age ON idempotency (created_at);

CREATE TABLE journal (                -- the admin log, append-only
    id         INTEGER PRIMARY KEY,
    at         INTEGER NOT NULL,
    org_id     TEXT NOT NULL,
    actor      TEXT NOT NULL,
    action     TEXT NOT NULL,
    subject    TEXT NOT NULL,
    before     TEXT,                  -- JSON
    after      TEXT                   -- JSON
) STRICT;

CREATE TABLE outbox (                 -- effects on the event store that this file's commits promised
    id         INTEGER PRIMARY KEY,
    payload    BLOB NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
