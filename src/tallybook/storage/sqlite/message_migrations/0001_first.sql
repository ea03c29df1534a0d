-- What was said in requests, where an org keeps it. Pages of this file that are freed are overwritten (secure_delete).

CREATE TABLE chunks (                 -- some messages of one org, kept at the same instant
    id      INTEGER PRIMARY KEY,
    org_id  TEXT NOT NULL,
    kept_at INTEGER NOT NULL,         -- microseconds since 1970, UTC
    data    BLOB NOT NULL             -- Zstandard over the JSON texts, one behind the other
) STRICT;
CREATE INDEX chunks_by_age ON chunks (org_id, kept_at);

CREATE TABLE messages (               -- where those of an event are
    uid   BLOB PRIMARY KEY,
    chunk INTEGER NOT NULL REFERENCES chunks (id),
    start INTEGER NOT NULL,           -- in bytes, unpacked
    size  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX messages_by_chunk ON messages (chunk);
