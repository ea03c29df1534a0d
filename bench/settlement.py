"""Reservations confirmed with the usage that explains them, beside the same confirmed with a plain amount."""

import json
import statistics
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bench import load, server
from bench.ledger import CONFIRM, CREATE, HELD, USED, accounts_at, reservation_in

_USAGE = {"modelId": "gpt-4o", "usageType": "text", "inputTokens": 1200, "outputTokens": 300, "cachedTokens": 200}
_HELD_SECONDS = 3600

Body = Callable[[str], dict[str, Any]]
"""What confirms a reservation of that id."""

_KINDS: dict[str, Body] = {
    "plain": lambda reservation: {"reservationId": reservation, "actualAmount": USED},
    "with_usage": lambda reservation: {"reservationId": reservation, "usage": _USAGE},
}


class _Measured(NamedTuple):
    """Confirmations per second, processor time of the serving process, latencies."""

    rate: float
    cpu_us: float
    p50_ms: float
    p99_ms: float


def confirmations(per_caller: int, repeats: int) -> dict[str, Any]:
    """64 callers confirm `per_caller` holds each, which were made before the clock starts; both kinds in turns.

    What the event store is sent of a run is within that run, up to its last seconds: let there be several deliveries.
    """
    runs: dict[str, list[_Measured]] = {name: [] for name in _KINDS}
    with tempfile.TemporaryDirectory() as folder, server.running(Path(folder)) as (port, pid):
        accounts = accounts_at(port)
        for _ in range(repeats):
            for name, body in _KINDS.items():
                runs[name].append(_confirm(port, pid, _hold(port, accounts, per_caller), body))
    plain, with_usage = (statistics.median(each.rate for each in runs[name]) for name in _KINDS)
    return {**{name: _shown(measured) for name, measured in runs.items()}, "ratio": round(with_usage / plain, 3)}


def _hold(port: int, accounts: Sequence[str], per_caller: int) -> list[list[str]]:
    made: list[list[str]] = [[] for _ in accounts]

    def talk(account_id: str, reservations: list[str]) -> load.Talk:
        body = {"accountId": account_id, "amount": HELD, "expiresInSeconds": _HELD_SECONDS}
        request = load.request(CREATE, server.KEY, json.dumps(body).encode())
        for _ in range(per_caller):
            reservations.append(reservation_in((yield request)))

    load.run_talks(port, list(map(talk, accounts, made)))
    return made


def _confirm(port: int, pid: int, holds: Sequence[Sequence[str]], body: Body) -> _Measured:
    count = sum(map(len, holds))
    ready = [[load.request(CONFIRM, server.KEY, json.dumps(body(hold)).encode()) for hold in own] for own in holds]
    before = server.cpu_seconds(pid)
    measured = load.run_talks(port, [load.monologue(iter(own)) for own in ready])
    cpu_us = (server.cpu_seconds(pid) - before) / count * 1e6
    assert measured.statuses == {200: count}, measured.statuses
    return _Measured(count / measured.seconds, cpu_us, measured.p50_ms, measured.p99_ms)


def _shown(runs: Sequence[_Measured]) -> dict[str, Any]:
    return {
        "confirmations_per_second": round(statistics.median(each.rate for each in runs)),
        "all_rates": [round(each.rate) for each in runs],
        "cpu_us": round(statistics.median(each.cpu_us for each in runs)),
        "p50_ms": round(statistics.median(each.p50_ms for each in runs), 1),
        "p99_ms": round(statistics.median(each.p99_ms for each in runs), 1),
    }
