-- Prices of the built-in catalogue and of its overlay, tiers by context length, daily windows; the catalogue's names.

CREATE TABLE catalogues (             -- the newest row is in force
    id          INTEGER PRIMARY KEY,
    version     TEXT NOT NULL,
    names       BLOB NOT NULL,        -- JSON: providers and models with the rules for their names
    recorded_at INTEGER NOT NULL
) STRICT;

ALTER TABLE prices ADD COLUMN origin TEXT NOT NULL DEFAULT 'org';  -- org, overlay or catalogue
ALTER TABLE prices ADD COLUMN daily_from INTEGER;                  -- microseconds after midnight; null: the whole day
ALTER TABLE prices ADD COLUMN daily_to INTEGER;

CREATE TABLE tiered_rates (
    price_id TEXT NOT NULL REFERENCES prices (id),
    unit     TEXT NOT NULL,
    above    INTEGER NOT NULL,        -- for contexts of more input tokens than that
    usd      TEXT NOT NULL,           -- exact decimal, for `per` units
    per      INTEGER NOT NULL,
    PRIMARY KEY (price_id, unit, above)
) STRICT, WITHOUT ROWID;
INSERT INTO tiered_rates SELECT price_id, unit, 0, usd, per FROM rates;
DROP TABLE rates;
ALTER TABLE tiered_rates RENAME TO rates;
