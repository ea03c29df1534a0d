-- What was thought of the answers to requests, by the uid of the event. The newest word counts; a row never goes.
CREATE TABLE feedback (
    org_id      TEXT NOT NULL,
    uid         TEXT NOT NULL,
    rating      TEXT,
    description TEXT,
    updated_at  INTEGER NOT NULL,
    updated_by  TEXT NOT NULL,        -- id of the key
    PRIMARY KEY (org_id, uid)
) STRICT, WITHOUT ROWID;
