-- The event store: a narrow key table that decides once-ness, index-free facts, and corrections beside them.
-- Instants are integer microseconds since 1970, UTC; money is integer picodollars; decimal counters are micro-units.
-- `seq` is the number of the commit that wrote a row; it rises with `recorded_at`.

CREATE TABLE keys (                   -- of the newest events; with `older_keys` one row per event, for ever
    key         UUID PRIMARY KEY,     -- 128-bit hash of (org, source, id)
    content     UUID NOT NULL,        -- content hash of the first revision; its first byte is the hash version
    uid         UUID NOT NULL,
    occurred_at BIGINT NOT NULL,
    seq         BIGINT NOT NULL
);

CREATE TABLE older_keys (             -- put again in order, generation by generation, each by key
    generation  INTEGER NOT NULL,
    key         UUID NOT NULL,
    content     UUID NOT NULL,
    uid         UUID NOT NULL,
    occurred_at BIGINT NOT NULL,
    seq         BIGINT NOT NULL
);

CREATE TABLE key_generations (
    number      INTEGER NOT NULL,     -- from 1
    until       BIGINT NOT NULL,      -- keys of every commit up to this one are in this generation or an earlier one
    keys        BIGINT NOT NULL       -- how many it has
);

CREATE TABLE key_filters (            -- each tells of nearly every key that none of these generations has it
    first       INTEGER NOT NULL,
    last        INTEGER NOT NULL,
    bits        BLOB NOT NULL
);

CREATE VIEW all_keys AS               -- a few twice: `keys` begins anew after a generation was added, not with that
    SELECT key, content, uid, occurred_at FROM keys
    UNION ALL SELECT key, content, uid, occurred_at FROM older_keys;

CREATE TABLE request_keys (           -- where a request id is not already found by `keys`
    key         UUID NOT NULL,        -- 128-bit hash of (org, request id); not unique
    uid         UUID NOT NULL,
    occurred_at BIGINT NOT NULL,
    seq         BIGINT NOT NULL,
    run         INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE runs (                   -- facts put again in order: by org and time, request keys by key
    number      INTEGER NOT NULL,     -- from 1
    until       BIGINT NOT NULL,      -- rows of every commit up to this one are in this run or an earlier one
    recorded_at BIGINT NOT NULL,      -- of that commit
    events      BIGINT NOT NULL       -- how many rows it has
);

CREATE TABLE volumes (                -- facts of the past in tables of their own, `facts_1` and so on
    number      INTEGER NOT NULL,     -- from 1
    until       INTEGER NOT NULL,     -- the last run in it
    first_at    BIGINT NOT NULL,      -- the least of its `occurred_at`
    last_at     BIGINT NOT NULL       -- and the greatest
);

CREATE TABLE arrivals (               -- small commits that are not in `facts` yet; every reader adds them by itself
    seq         BIGINT NOT NULL,
    recorded_at BIGINT NOT NULL,
    events      BIGINT NOT NULL,      -- how many
    submissions BLOB NOT NULL         -- the events as MessagePack
);

CREATE TABLE facts (                  -- one row per revision; never changed
    run INTEGER NOT NULL DEFAULT 0,      -- 0: where it was appended; else the run it was put in
    org_id VARCHAR NOT NULL,
    uid UUID NOT NULL,
    revision INTEGER NOT NULL,
    seq BIGINT NOT NULL,
    occurred_at BIGINT NOT NULL,
    recorded_at BIGINT NOT NULL,
    recorded_by VARCHAR NOT NULL,        -- id of the key that sent it
    source VARCHAR NOT NULL,
    event_id VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    user_id VARCHAR,
    external_user_id VARCHAR,
    project_id VARCHAR,
    team_id VARCHAR,
    api_key_id VARCHAR,
    account_id VARCHAR,
    transaction_id VARCHAR,
    session_id VARCHAR,
    context VARCHAR,
    image_size VARCHAR,
    image_quality VARCHAR,
    image_operation VARCHAR,
    vector_store_id VARCHAR,
    context_level VARCHAR,
    api_source VARCHAR,
    session_kind VARCHAR,
    provider VARCHAR,
    model VARCHAR,
    operation VARCHAR,
    endpoint VARCHAR,
    service_tier VARCHAR,
    batch BOOLEAN NOT NULL,
    background BOOLEAN NOT NULL,
    stream BOOLEAN NOT NULL,
    request_id VARCHAR,                  -- null: the event id
    finish_reason VARCHAR,
    description VARCHAR,
    metadata VARCHAR,
    api_key_used VARCHAR,                -- masked
    latency_ms BIGINT,
    ttft_ms BIGINT,
    -- counters (core/counters.py)
    input_tokens BIGINT,
    output_tokens BIGINT,
    cache_read_tokens BIGINT,
    cache_write_tokens BIGINT,
    cache_write_5m_tokens BIGINT,
    cache_write_30m_tokens BIGINT,
    cache_write_1h_tokens BIGINT,
    cache_write_12h_tokens BIGINT,
    reasoning_tokens BIGINT,
    input_audio_tokens BIGINT,
    output_audio_tokens BIGINT,
    cache_read_audio_tokens BIGINT,
    input_image_tokens BIGINT,
    output_image_tokens BIGINT,
    cache_read_image_tokens BIGINT,
    images BIGINT,
    web_searches BIGINT,
    audio_seconds BIGINT,
    characters BIGINT,
    units BIGINT,
    requests BIGINT,
    bytes BIGINT,
    conversations_created BIGINT,
    items_added BIGINT,
    operations BIGINT,
    files_created BIGINT,
    request_count BIGINT,
    duration_ms BIGINT,
    workspace_bytes_in BIGINT,
    workspace_bytes_out BIGINT,
    files_changed BIGINT,
    oom_killed BIGINT,
    peak_memory_mib BIGINT,
    reserved_memory_mib BIGINT,
    -- rating; one cost column per line, picodollars
    pricing VARCHAR NOT NULL,
    price_id VARCHAR,
    matched VARCHAR,                     -- what that price is for, such as openai:gpt-4o
    unpriced_units VARCHAR,              -- comma-separated
    cost BIGINT,                         -- null: unpriced
    known_cost BIGINT NOT NULL,
    refunded BOOLEAN,                    -- true: a correction gave all of it back; else null
    cost_input_tokens BIGINT,
    cost_output_tokens BIGINT,
    cost_cache_read_tokens BIGINT,
    cost_cache_write_tokens BIGINT,
    cost_cache_write_5m_tokens BIGINT,
    cost_cache_write_30m_tokens BIGINT,
    cost_cache_write_1h_tokens BIGINT,
    cost_cache_write_12h_tokens BIGINT,
    cost_reasoning_tokens BIGINT,
    cost_input_audio_tokens BIGINT,
    cost_output_audio_tokens BIGINT,
    cost_cache_read_audio_tokens BIGINT,
    cost_input_image_tokens BIGINT,
    cost_output_image_tokens BIGINT,
    cost_cache_read_image_tokens BIGINT,
    cost_images BIGINT,
    cost_web_searches BIGINT,
    cost_audio_seconds BIGINT,
    cost_characters BIGINT,
    cost_units BIGINT,
    cost_requests BIGINT,
    cost_bytes BIGINT,
    cost_conversations_created BIGINT,
    cost_items_added BIGINT,
    cost_operations BIGINT,
    cost_files_created BIGINT,
    cost_request_count BIGINT,
    cost_duration_ms BIGINT,
    cost_workspace_bytes_in BIGINT,
    cost_workspace_bytes_out BIGINT,
    cost_files_changed BIGINT,
    cost_oom_killed BIGINT,
    -- what a line was charged for, where that is another number than its counter holds: totals without their parts
    pool_input_tokens BIGINT,
    pool_output_tokens BIGINT,
    pool_cache_read_tokens BIGINT,
    pool_cache_write_tokens BIGINT,
    pool_cache_write_5m_tokens BIGINT,
    pool_cache_write_30m_tokens BIGINT,
    pool_cache_write_1h_tokens BIGINT,
    pool_cache_write_12h_tokens BIGINT,
    pool_reasoning_tokens BIGINT,
    pool_input_audio_tokens BIGINT,
    pool_output_audio_tokens BIGINT,
    pool_cache_read_audio_tokens BIGINT,
    pool_input_image_tokens BIGINT,
    pool_output_image_tokens BIGINT,
    pool_cache_read_image_tokens BIGINT
);

CREATE TABLE superseded AS            -- copies of facts, so that a sum is that of all facts less that of some of these;
    SELECT                            -- `seq` and `recorded_at` are those of the correction
        true AS is_ended,             -- by it, which took it out of force
        true AS is_replaced,          -- by a next revision: false for what is voided
        facts.* EXCLUDE (run)
    FROM facts WITH NO DATA;

CREATE TABLE corrections (            -- names the revision that is no longer in force, and what replaces it
    org_id      VARCHAR NOT NULL,
    uid         UUID NOT NULL,
    superseded  INTEGER,              -- null: a restore, which supersedes nothing
    replacement INTEGER,              -- null: a void
    occurred_at BIGINT NOT NULL,      -- of the event, so that the anti-join can be narrowed
    recorded_at BIGINT NOT NULL,
    seq         BIGINT NOT NULL,
    id          VARCHAR NOT NULL,     -- shared by all that was corrected in one go
    action      VARCHAR NOT NULL,
    actor       VARCHAR NOT NULL,     -- id of the key that asked for it
    reason      VARCHAR,
    refund_id   VARCHAR               -- the credit that gave back what was charged, if any
);

CREATE TABLE outcomes (               -- what repeats of corrections are answered with
    request     UUID NOT NULL,        -- hash of org, caller, method, path and Idempotency-Key
    body_hash   UUID NOT NULL,
    outcome     VARCHAR NOT NULL,     -- JSON
    recorded_at BIGINT NOT NULL
);

CREATE TABLE schema_version (version INTEGER NOT NULL);
