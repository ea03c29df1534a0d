"""`kill -9` amid all that a ledger is asked: what was answered is there, once; what was not is there at most once.

A repeat under the same `Idempotency-Key` settles which.
"""

import random
import time
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from tallybook.core.failpoints import Failpoint
from tests.conftest import LONG
from tests.crash.ledger_callers import SAFE_TO_REPEAT, Book, Caller, books, callers, expected_status, repeat
from tests.serving import ServerProcess

ROUNDS = 50 if LONG else 10
CONNECTIONS = 16
ACKNOWLEDGED_MIN = 200
RESTART_SECONDS_MAX = 15  # a start takes less than one; this holds on a crowded machine

TIMES = {
    Failpoint.FLUSH_BEGUN: 40,
    Failpoint.HALF_POSTED: 60,
    Failpoint.HALF_EXPIRED: 1,
    Failpoint.EFFECT_DONE: 60,
    Failpoint.JOB_DONE: 150,
    Failpoint.BEFORE_COMMIT: 40,
    Failpoint.AFTER_COMMIT: 40,
}
"""How often the server passes each before it dies there: often enough that callers are at work."""


class Checked(NamedTuple):
    answered: int
    unanswered: int
    of_these_done: int


def start(server: ServerProcess) -> float:
    """Starts it; seconds until it listens."""
    begun = time.monotonic()
    server.start()
    seconds = time.monotonic() - begun
    assert seconds < RESTART_SECONDS_MAX
    return seconds


def check(server: ServerProcess, prefix: str, expected: Book, working: list[Caller]) -> Checked:
    """The ledger holds what the callers were answered, and of what they were not, each once or not at all."""
    done = 0
    for caller in working:
        caller.join()
        assert not caller.strange
        expected.add(caller.book)
    open_questions = [caller.unanswered for caller in working if caller.unanswered is not None]
    with server.client() as client:
        before = books(client, prefix)
        lost = expected.entries.keys() - before.entries.keys() | expected.holds.keys() - before.holds.keys()
        assert not lost, f"{len(lost)} acknowledged operations are lost"
        for caller in working:
            check_replays(client, caller)
        for operation in open_questions:
            if operation.key is not None or operation.kind in SAFE_TO_REPEAT:
                answer = repeat(client, operation)
                assert answer.status_code == expected_status(operation), answer.text
                expected.note(operation, answer.json())
            else:
                happened = expected.adopt(operation.mark, before)
                assert happened <= 1, f"{operation} was done {happened} times"
                done += happened
        found = books(client, prefix)
        assert found.accounts == expected.accounts
        assert found.entries == expected.entries
        assert found.holds == expected.holds
        assert client.get("/v1/verify").raise_for_status().json()["difference"] is None
    return Checked(sum(len(caller.answered) for caller in working), len(open_questions), done)


def check_replays(client: httpx.Client, caller: Caller) -> None:
    """What was answered under a key is answered byte for byte alike, refusals included."""
    keyed = [answered for answered in caller.answered if answered[0].key is not None]
    for operation, status, body in keyed[-5:]:
        again = repeat(client, operation)
        assert (again.status_code, again.content) == (status, body)


def test_acknowledged_operations_survive_kill_9(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = random.Random(20260131)
    server = ServerProcess(tmp_path / "data")
    start(server)
    rounds, restarts = [], []
    for number in range(ROUNDS):
        prefix = f"round{number}"
        expected, working = callers(server, prefix, CONNECTIONS, rng)
        for caller in working:
            caller.start()
        while sum(len(caller.answered) for caller in working) < ACKNOWLEDGED_MIN:
            assert not any(caller.strange for caller in working), [caller.strange for caller in working]
            time.sleep(0.005)
        time.sleep(rng.uniform(0, 0.15))
        server.kill()
        restarts.append(start(server))
        rounds.append(check(server, prefix, expected, working))
    server.stop()
    answered, unanswered, done = (sum(column) for column in zip(*rounds, strict=True))
    with capsys.disabled():
        print(
            f"\nkill -9: {ROUNDS} rounds, {answered} operations answered and found once, {unanswered} unanswered and"
            f" settled ({done} seen to be done), restarts of at most {max(restarts):.1f} s"
        )


@pytest.mark.parametrize("point", TIMES)
def test_at_every_failpoint(tmp_path: Path, point: Failpoint) -> None:
    data_dir = tmp_path / "data"
    dying = ServerProcess(data_dir, failpoint=f"{point}:{TIMES[point]}").start()
    expected, working = callers(dying, "ana", CONNECTIONS, random.Random(point))
    for caller in working:
        caller.start()
    assert dying.process is not None
    assert dying.process.wait(timeout=60) == -9
    server = ServerProcess(data_dir)
    start(server)
    checked = check(server, "ana", expected, working)
    assert checked.answered > 0
    assert checked.unanswered > 0
    server.stop()
