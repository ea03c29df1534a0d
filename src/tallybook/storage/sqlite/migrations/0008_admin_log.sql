-- The admin log is read newest first, per org.
CREATE INDEX journal_by_org ON journal (org_id, at, id);
