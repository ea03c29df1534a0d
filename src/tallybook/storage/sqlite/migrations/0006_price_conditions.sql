-- Prices for certain images or searches only, for certain days of the week, and least quantities.

ALTER TABLE prices ADD COLUMN conditions TEXT NOT NULL DEFAULT '[]';  -- JSON: pairs of an event's field and its word
ALTER TABLE prices ADD COLUMN daily_weekdays TEXT NOT NULL DEFAULT '[]';  -- JSON: Monday is 0; empty: all
ALTER TABLE rates ADD COLUMN at_least INTEGER NOT NULL DEFAULT 0;     -- units charged for each request that reports any
