"""A data folder of many events, made by SQL as the server would have laid it out, and kept for the next run.

One org holds all. Equally many events fall on each day, whatever their number, so that 30 days hold the same of them
in every store. A few events carry the hashes that the server would have given them, to be looked up by.
"""

import hashlib
import os
import shutil
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from uuid import UUID

import duckdb

from bench import server
from tallybook.core.time_window import DAY_US, parse_instant
from tallybook.metering.identity import identity_of, request_key_of
from tallybook.storage.duckdb import key_generations, volumes
from tallybook.storage.duckdb.engine import attached
from tallybook.storage.duckdb.runs import STRETCH

VERSION = 6
"""Of what is made here: raise it whenever that changes."""

ORG = "default"
EVENTS_A_DAY = 10_000_000 // 90
STEP_US = DAY_US // EVENTS_A_DAY
END_US = parse_instant("2026-06-01T00:00:00Z")
USERS, CORRECTIONS = 10_000, 10_000
BUSIEST_USER = "user_0"
"""Has 6 % of all events."""
RUN = 1_000_000
"""Events that are in order together."""
VOLUME = 16_000_000
"""Events of a volume."""
UNORDERED = 400_000
"""The newest, which are not in order yet: fewer than the server would put in order at once."""
GENERATION = 2_000_000
"""Keys of a generation."""
LOOKUPS = 2_000

_CACHE = Path(__file__).parent.parent / ".cache"
_GATEWAY = "gateway"

_MODELS = (
    *("openai:gpt-4o", "openai:gpt-4o-mini", "anthropic:claude-sonnet-4-5", "google:gemini-2.5-pro"),
    *("openai:gpt-5-mini", "anthropic:claude-opus-4-8", "google:gemini-2.5-flash", "deepseek:deepseek-v4-pro"),
    *("openai:gpt-4.1", "anthropic:claude-haiku-4-5", "mistral:mistral-large", "openai:o3"),
    *("meetkai:functionary-pt", "xai:grok-4", "openai:gpt-4.1-nano"),
)


def cached(events: int) -> Path:
    """The data folder of a store of so many events. Not to be written to: `copied` lends one for that."""
    folder = _CACHE / f"{events}-{_layout()}"
    if not folder.exists():
        draft = folder.with_suffix(".new")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        _make(draft, events)
        draft.rename(folder)
    return folder


def copied(events: int, name: str) -> Path:
    """A copy of the store, to be written to; replaces an earlier one of that name."""
    folder = _CACHE / name
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(cached(events), folder)
    os.sync()  # else the first commits would wait for the copy to be written
    return folder


def start_us(events: int) -> int:
    """When the first event was recorded."""
    return END_US - events * STEP_US


def event_id(number: int) -> str:
    return f"chatcmpl-{hashlib.md5(f'id {number}'.encode()).hexdigest()[:24]}"


def lookups(events: int) -> range:
    """Numbers of the events that can be looked up by their ids."""
    return range(0, events, max(1, events // LOOKUPS))


def _layout() -> str:
    """Stands for all that decides how a store looks."""
    schema = (resources.files("tallybook.storage.duckdb.migrations") / "0001_first.sql").read_bytes()
    return hashlib.sha256(f"{VERSION} {duckdb.__version__}".encode() + schema).hexdigest()[:12]


def _make(folder: Path, events: int) -> None:
    with server.running(folder):
        pass  # makes the files and what every server has
    known = [list(column) for column in zip(*_known(events), strict=True)]
    with attached(folder / "events.duckdb", {"threads": 2, "memory_limit": "6GB"}) as store:
        store.execute(f"CREATE TEMP TABLE known AS SELECT {', '.join(map('unnest(?) AS {}'.format, _KNOWN))}", known)
        store.execute("SET VARIABLE models = ?", [list(_MODELS)])
        rest = min(events, UNORDERED)
        for run, first in enumerate(range(0, events - rest, RUN), start=1):
            _add(store, run, first, min(first + RUN, events - rest), events)
            store.execute(_RUN, [run])
            if volumes.events_in_runs(store) >= VOLUME:
                store.execute("BEGIN")
                volumes.close(store)
                store.execute("COMMIT")
            _add_generation(store)
        _add(store, 0, events - rest, events, events)
        _add_generation(store)  # else the server would, while it is being asked


def _add(store: duckdb.DuckDBPyConnection, run: int, first: int, end: int, events: int) -> None:
    """A run in order, or as run 0 what arrived since the last."""
    store.execute(f"CREATE OR REPLACE TEMP TABLE drawn AS {_drawn(first, end, events)}")
    store.execute(_KEYS)
    store.execute(_REQUEST_KEYS.format("key" if run else "seq"), [run])
    store.execute(_FACTS.format(_IN_ORDER if run else "seq"), [run])
    store.execute(_CORRECTIONS)
    store.execute(_SUPERSEDED)
    store.execute("CHECKPOINT")


def _add_generation(store: duckdb.DuckDBPyConnection) -> None:
    generation = key_generations.next_generation(store, GENERATION)
    if generation is not None:
        key_generations.add(store, generation, GENERATION)
        key_generations.begin_anew(store, generation.number)


_KNOWN = ("number", "key", "request")


def _known(events: int) -> Iterator[tuple[int, UUID, UUID]]:
    for number in lookups(events):
        name = event_id(number)
        source = _GATEWAY if _is_of_gateway(number) else ""
        yield number, UUID(bytes=identity_of(ORG, source, name)), UUID(bytes=request_key_of(ORG, name))


def _is_of_gateway(number: int) -> bool:
    return number // 7 % 4 == 0


def _drawn(first: int, end: int, events: int) -> str:
    """What differs between events, from their numbers alone."""
    millis = f"({start_us(events)} + number * {STEP_US}) // 1000"
    noise = "md5('uid ' || number)"
    return f"""
        SELECT
            number,
            number // 5000 + 1 AS seq,
            {start_us(events)} + number * {STEP_US} AS recorded_at,
            recorded_at - CASE WHEN {_draw("late")} < 0.02 THEN ({_draw("lag")} * {3 * DAY_US})::BIGINT
                ELSE ({_draw("lag")} * 5e6)::BIGINT END AS occurred_at,
            (lpad(to_hex({millis}), 12, '0') || '7' || {noise}[1:3] || '8' || {noise}[4:18])::UUID AS uid,
            CASE WHEN number // 7 % 4 = 0 THEN '{_GATEWAY}' ELSE '' END AS source,
            'chatcmpl-' || md5('id ' || number)[1:24] AS event_id,
            floor({USERS} * pow({_draw("user")}, 3.3))::INTEGER AS user_number,
            getvariable('models')[1 + floor({len(_MODELS)} * pow({_draw("model")}, 2))::INTEGER] AS matched,
            (100 + 20000 * pow({_draw("input")}, 3))::BIGINT AS input_tokens,
            (20 + 2000 * {_draw("output")})::BIGINT AS output_tokens,
            ({_draw("cached")} * input_tokens)::BIGINT AS cache_read_tokens,
            {_draw("kind")} AS kind_drawn,
            CASE WHEN hash(number, 'corrected') % {max(1, events // CORRECTIONS)} = 0
                THEN CASE WHEN hash(number, 'voided') % 2 = 0 THEN 'void' ELSE 'amend' END END AS correction,
            least(number + 50000, {end - 1}) AS corrected,
            corrected // 5000 + 1 AS corrected_seq,
            {start_us(events)} + corrected * {STEP_US} AS corrected_at
        FROM range({first}, {end}) AS numbers (number)
    """


def _draw(what: str) -> str:
    """A number from 0 to below 1."""
    return f"(hash(number, '{what}') >> 11)::DOUBLE / {2**53}"


_KEYS = """
    INSERT INTO keys
    SELECT coalesce(known.key, md5('key ' || number)::UUID), ('01' || md5('content ' || number)[3:])::UUID,
        uid, occurred_at, seq
    FROM drawn LEFT JOIN known USING (number) ORDER BY seq
"""
_REQUEST_KEYS = f"""
    INSERT INTO request_keys (key, uid, occurred_at, seq, run)
    SELECT coalesce(known.request, md5('request ' || number)::UUID) AS key, uid, occurred_at, seq, ?
    FROM drawn LEFT JOIN known USING (number) WHERE source = '{_GATEWAY}' ORDER BY {{}}
"""
_RUN = "INSERT INTO runs SELECT run, max(seq), max(recorded_at), count(*) FROM facts WHERE run = ? GROUP BY run"
_CORRECTIONS = f"""
    INSERT INTO corrections
    SELECT '{ORG}', uid, 1, CASE WHEN correction = 'amend' THEN 2 END, occurred_at, corrected_at, corrected_seq,
        'correction_' || number, correction, 'key_of_bench', NULL, NULL
    FROM drawn WHERE correction IS NOT NULL ORDER BY seq
"""
_SUPERSEDED = """
    INSERT INTO superseded
    SELECT true, correction = 'amend', facts.* EXCLUDE (run) REPLACE (corrected_seq AS seq, corrected_at AS recorded_at)
    FROM facts JOIN drawn ON drawn.uid = facts.uid AND revision = 1 WHERE correction IS NOT NULL
"""

_OF_FACTS = {
    "org_id": f"'{ORG}'",
    "uid": "uid",
    "revision": "revision",
    "seq": "CASE WHEN revision = 1 THEN seq ELSE corrected_seq END",
    "occurred_at": "occurred_at",
    "recorded_at": "CASE WHEN revision = 1 THEN recorded_at ELSE corrected_at END",
    "recorded_by": "'key_of_bench'",
    "source": "source",
    "event_id": "event_id",
    "kind": "CASE WHEN kind_drawn < 0.8 THEN 'completion' WHEN kind_drawn < 0.95 THEN 'response' ELSE 'embedding' END",
    "user_id": "'user_' || user_number",
    "external_user_id": "CASE WHEN user_number % 3 = 0 THEN 'customer_' || hash(number, 'customer') % 50000 END",
    "project_id": "'project_' || user_number % 50",
    "api_key_id": "'key_' || user_number || '_' || hash(number, 'key') % 3",
    "provider": "split_part(matched, ':', 1)",
    "model": "split_part(matched, ':', 2)",
    "batch": "false",
    "background": "false",
    "stream": "number % 3 = 0",
    "finish_reason": "CASE WHEN kind_drawn < 0.9 THEN 'stop' ELSE 'length' END",
    "latency_ms": "200 + hash(number, 'latency') % 9000",
    "ttft_ms": "CASE WHEN number % 3 = 0 THEN 50 + hash(number, 'first') % 900 END",
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens + revision - 1",
    "cache_read_tokens": "cache_read_tokens",
    "pricing": "CASE WHEN kind_drawn < 0.02 THEN 'unpriced' ELSE 'priced' END",
    "price_id": "CASE WHEN kind_drawn >= 0.02 THEN 'price_' || matched END",
    "matched": "CASE WHEN kind_drawn >= 0.02 THEN matched END",
    "unpriced_units": "CASE WHEN kind_drawn < 0.02 THEN 'input_tokens' END",
    "cost": "CASE WHEN kind_drawn >= 0.02 THEN {uncached} + {cached} + {output} END",
    "known_cost": "CASE WHEN kind_drawn >= 0.02 THEN {uncached} + {cached} ELSE 0 END + {output}",
    "cost_input_tokens": "CASE WHEN kind_drawn >= 0.02 THEN {uncached} END",
    "cost_cache_read_tokens": "CASE WHEN kind_drawn >= 0.02 THEN {cached} END",
    "cost_output_tokens": "{output}",
    "pool_input_tokens": "input_tokens - cache_read_tokens",
}
"""Columns of the facts by what they are made from."""

_IN_ORDER = f"row_number() OVER (ORDER BY occurred_at) // {STRETCH}, {_OF_FACTS['user_id']}, occurred_at"

_LINES = {
    "uncached": "(input_tokens - cache_read_tokens) * 2500000",
    "cached": "cache_read_tokens * 1250000",
    "output": "(output_tokens + revision - 1) * 10000000",
}
_FACTS = f"""
    INSERT INTO facts (run, {", ".join(_OF_FACTS)})
    SELECT ?, {", ".join(source.format(**_LINES) for source in _OF_FACTS.values())}
    FROM (SELECT 1 AS revision, * FROM drawn UNION ALL SELECT 2, * FROM drawn WHERE correction = 'amend')
    ORDER BY {{}}
"""
