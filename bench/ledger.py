"""Reservations, made and confirmed: over HTTP, beside the same room and store called from within this process."""

import asyncio
import itertools
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import uvloop

from bench import load, server
from tallybook.core.clock import SystemClock
from tallybook.core.money import MICRO_PER_UNIT
from tallybook.core.unit_of_work import Repeat
from tallybook.ledger.model import Address, Hold, NewAccount, Posting, Terms, Type
from tallybook.ledger.service import LedgerService
from tallybook.storage.sqlite.engine import SqliteEngine
from tallybook.storage.sqlite.ledger import SqliteLedgerStore

CALLERS = 64
CREATE, CONFIRM = "/v1/reservations/create", "/v1/reservations/confirm"
ORG = "default"
FUNDS, HELD, USED, SECONDS = 1_000_000_000, 10, 8, 300

_IDEMPOTENCY_KEYS = (f"{number:032x}" for number in itertools.count())


class Measured(NamedTuple):
    """One run: pairs per second, processor time of the serving process, latencies of single calls over HTTP."""

    rate: float
    cpu_us_per_pair: float
    p50_ms: float | None = None
    p99_ms: float | None = None


def pairs(per_caller: int, repeats: int) -> dict[str, Any]:
    """64 callers make and confirm `per_caller` reservations each, in turns of every kind."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        data.mkdir()
        with server.running(data) as (port, pid):
            accounts = accounts_at(port)
            room = Path(folder) / "room.sqlite"
            kinds: dict[str, Callable[[], Measured]] = {
                "distinct_keyed": lambda: _over_http(port, pid, accounts, per_caller, keyed=True),
                "hot_keyed": lambda: _over_http(port, pid, accounts[:1], per_caller, keyed=True),
                "in_process_keyed": lambda: uvloop.run(_in_process(room, per_caller, keyed=True)),
                "distinct": lambda: _over_http(port, pid, accounts, per_caller, keyed=False),
                "hot": lambda: _over_http(port, pid, accounts[:1], per_caller, keyed=False),
                "in_process": lambda: uvloop.run(_in_process(room, per_caller, keyed=False)),
            }
            runs: dict[str, list[Measured]] = {name: [] for name in kinds}
            for _ in range(repeats):
                for name, measure in kinds.items():
                    runs[name].append(measure())
    return {
        **{name: _shown(measured) for name, measured in runs.items()},
        "ratio_keyed": _ratio(runs, "distinct_keyed", "in_process_keyed"),
        "ratio": _ratio(runs, "distinct", "in_process"),
        "hot_ratio_keyed": _ratio(runs, "hot_keyed", "distinct_keyed"),
        "hot_ratio": _ratio(runs, "hot", "distinct"),
    }


def _over_http(port: int, pid: int, accounts: Sequence[str], per_caller: int, *, keyed: bool) -> Measured:
    talks = [_talk(accounts[caller % len(accounts)], per_caller, keyed=keyed) for caller in range(CALLERS)]
    before = server.cpu_seconds(pid)
    measured = load.run_talks(port, talks)
    cpu_seconds = server.cpu_seconds(pid) - before
    count = per_caller * CALLERS
    assert measured.statuses == {200: 2 * count}, measured.statuses
    return Measured(count / measured.seconds, cpu_seconds / count * 1e6, measured.p50_ms, measured.p99_ms)


def _talk(account_id: str, count: int, *, keyed: bool) -> load.Talk:
    hold = json.dumps({"accountId": account_id, "amount": HELD, "operation": "chat", "model": "gpt-4o"}).encode()
    for _ in range(count):
        made = yield load.request(CREATE, server.KEY, hold, next(_IDEMPOTENCY_KEYS) if keyed else None)
        settled = json.dumps({"reservationId": reservation_in(made), "actualAmount": USED}).encode()
        yield load.request(CONFIRM, server.KEY, settled, next(_IDEMPOTENCY_KEYS) if keyed else None)


def reservation_in(answer: bytes) -> str:
    """The id that begins the reservation: to read the whole answer would take the server's processor time."""
    start = answer.index(b'"res_') + 1
    return answer[start : answer.index(b'"', start)].decode()


async def _in_process(path: Path, per_caller: int, *, keyed: bool) -> Measured:
    """The room and its store with group commit, called by 64 tasks: all there is but HTTP."""
    clock = SystemClock()
    engine = SqliteEngine(path, clock)
    room = LedgerService(SqliteLedgerStore(engine), engine, clock, list_rows_max=1)
    made = [await room.create_account(ORG, NewAccount()) for _ in range(CALLERS)]
    for account in made:
        await room.post(ORG, Address(account.id), Posting(Type.CREDIT, FUNDS * MICRO_PER_UNIT))
    started, cpu_before = time.perf_counter(), time.process_time()
    await asyncio.gather(*(_calls(room, account.id, per_caller, keyed=keyed) for account in made))
    count = per_caller * CALLERS
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_before
    engine.close()
    return Measured(count / seconds, cpu_seconds / count * 1e6)


async def _calls(room: LedgerService, account_id: str, count: int, *, keyed: bool) -> None:
    hold = Hold(HELD * MICRO_PER_UNIT, SECONDS, "chat", '{"operation":"chat","model":"gpt-4o"}')
    for _ in range(count):
        made = await room.reserve(ORG, Address(account_id), hold, _repeat(CREATE) if keyed else None)
        repeat = _repeat(CONFIRM) if keyed else None
        await room.confirm(ORG, made.id, USED * MICRO_PER_UNIT, Terms(), repeat)


def _repeat(path: str) -> Repeat:
    key = next(_IDEMPOTENCY_KEYS)
    return Repeat(ORG, "bench", "POST", path, key, Repeat.hash_of(key.encode()))


def accounts_at(port: int) -> list[str]:
    address, headers = f"http://127.0.0.1:{port}/v1/accounts", {"Authorization": f"Bearer {server.KEY}"}
    with httpx.Client(headers=headers) as client:
        made = [client.post(f"{address}/create", json={}).json()["account"]["id"] for _ in range(CALLERS)]
        for account_id in made:
            body = {"accountId": account_id, "amount": FUNDS}
            client.post(f"{address}/credits/add", json=body).raise_for_status()
    return made


def _shown(runs: Sequence[Measured]) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "pairs_per_second": round(_median(runs, "rate")),
        "all_rates": [round(each.rate) for each in runs],
        "cpu_us_per_pair": round(_median(runs, "cpu_us_per_pair")),
    }
    if runs[0].p50_ms is not None:
        shown |= {name: round(_median(runs, name), 1) for name in ("p50_ms", "p99_ms")}
    return shown


def _median(runs: Sequence[Measured], name: str) -> float:
    values: list[float] = [getattr(each, name) for each in runs]
    return statistics.median(values)


def _ratio(runs: Mapping[str, Sequence[Measured]], kind: str, beside: str) -> float:
    return round(_median(runs[kind], "rate") / _median(runs[beside], "rate"), 3)
