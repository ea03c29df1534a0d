"""`tallybook verify` holds the sums of usage against the events in force, and finds a copy that is lost or changed."""

from pathlib import Path

import duckdb
import pytest

from tests.contract.correction_calls import amend, correct, corrected, recorded_all
from tests.serving import ServerProcess


@pytest.mark.parametrize(
    ("harm", "what", "expected", "found"),
    [
        ("DELETE FROM superseded", "events in force", 3, 5),
        ("UPDATE superseded SET known_cost = known_cost + 1", "cost_pico in force", None, None),
    ],
)
def test_sums_that_are_not_those_of_the_events_are_found(
    tmp_path: Path, harm: str, what: str, expected: int | None, found: int | None
) -> None:
    server = ServerProcess(tmp_path / "data").start()
    with server.client() as http:
        first, second, *_ = recorded_all(http, [{"id": f"event-{n}", "cost_usd": "2.5"} for n in range(4)])
        corrected(amend(http, first, 1, cost_usd="1"))
        corrected(correct(http, second, "void", expected_revision=1))
        assert http.get("/v1/verify").json()["difference"] is None
    server.stop()
    with duckdb.connect(str(tmp_path / "data" / "events.duckdb")) as store:
        store.execute(harm)
    server.start()
    with server.client() as http:
        difference = http.get("/v1/verify").json()["difference"]
    server.stop()
    assert (difference["org_id"], difference["subject"], difference["what"]) == ("default", "default", what)
    if expected is not None:
        assert (difference["expected"], difference["found"]) == (expected, found)
