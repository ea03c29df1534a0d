"""`tallybook usage` against a real server: a table, CSV and JSON of the same numbers."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from click.testing import CliRunner, Result

from tallybook.cli.main import main
from tallybook.cli.usage import BUCKETS
from tallybook.core.time_window import Bucket
from tests.serving import ADMIN_KEY, ServerProcess

Run = Callable[..., Result]
MARCH = ("--start", "2026-03-28", "--end", "2026-03-31", "--timezone", "Europe/Berlin")


def event(number: int, at: str, **fields: Any) -> dict[str, Any]:
    return {"id": f"{number}", "occurred_at": at, "model": "small", "cost_usd": "0.1", **fields}


@pytest.fixture(scope="module")
def run(server: ServerProcess) -> Run:
    events = [
        event(1, "2026-03-28T22:59:59Z", user_id="ana", usage={"input_tokens": 5}),
        event(2, "2026-03-28T23:00:00Z", user_id="ana", model="large"),
        event(3, "2026-03-29T21:59:59Z", user_id="bob", cost_usd="0.000000000001"),
        event(4, "2026-03-29T22:00:00Z", user_id="b,ob=1"),
        event(5, datetime.now(UTC).isoformat(), kind="embedding", user_id="now"),
    ]
    with server.client() as client:
        assert client.post("/v1/events", json={"events": events}).json()["inserted"] == len(events)

    def command(*words: str) -> Result:
        return CliRunner().invoke(main, ["--url", server.url, "--key", ADMIN_KEY, "usage", *words])

    return command


def table(result: Result) -> list[list[str]]:
    assert result.exit_code == 0, result.output
    return [line.split() for line in result.stdout.splitlines()]


def test_every_width_is_offered() -> None:
    assert set(BUCKETS) == {bucket.value for bucket in Bucket}


def test_a_table_of_days_of_a_zone(run: Run) -> None:
    assert table(run(*MARCH, "--by", "model,user_id", "--measures", "requests,cost_usd")) == [
        ["start", "model", "user_id", "requests", "cost_usd"],
        ["2026-03-28", "small", "ana", "1", "0.1"],
        ["2026-03-29", "large", "ana", "1", "0.1"],
        ["2026-03-29", "small", "bob", "1", "0.000000000001"],
        ["2026-03-30", "small", "b,ob=1", "1", "0.1"],
    ]
    assert table(run(*MARCH, "--bucket", "1h", "--measures", "requests"))[1:] == [
        ["2026-03-28", "23:00+01:00", "1"],
        ["2026-03-29", "00:00+01:00", "1"],
        ["2026-03-29", "23:00+02:00", "1"],
        ["2026-03-30", "00:00+02:00", "1"],
    ]


def test_filters_keep_alternatives(run: Run) -> None:
    words = ("--filter", "user_id=ana", "--filter", "user_id=b,ob=1", "--filter", "model=small")
    found = table(run(*MARCH, "--bucket", "all", "--by", "user_id", "--measures", "requests", *words))
    assert [line[:3] for line in found] == [
        ["start", "user_id", "requests"],
        ["2026-03-28", "00:00+01:00", "ana"],
        ["2026-03-28", "00:00+01:00", "b,ob=1"],
    ]


def test_csv_is_that_of_the_server_over_all_pages(run: Run, admin: httpx.Client) -> None:
    words = ("--start", "2026-03-28T00:00:00Z", "--end", "2026-03-30T00:00:00Z", "--bucket", "1m", "--by", "user_id")
    query = {"start": "2026-03-28T00:00:00Z", "end": "2026-03-29T00:00:00Z", "bucket": "1m", "group_by": "user_id"}
    halves = [admin.get("/v1/usage/query", params={**query, "format": "csv"}).text]
    query |= {"start": "2026-03-29T00:00:00Z", "end": "2026-03-30T00:00:00Z"}
    halves.append(admin.get("/v1/usage/query", params={**query, "format": "csv"}).text.partition("\r\n")[2])
    assert run(*words, "--csv").stdout_bytes.decode() == "".join(halves)
    assert run(*words, "--csv", "--filter", "model=none").stdout.splitlines() == halves[0].splitlines()[:1]


def test_json_is_every_bucket(run: Run) -> None:
    buckets = json.loads(run(*MARCH, "--json").stdout)
    assert [bucket["start"] for bucket in buckets] == [
        "2026-03-27T23:00:00Z",
        "2026-03-28T23:00:00Z",
        "2026-03-29T22:00:00Z",
    ]
    assert buckets[1]["results"][0]["cost_usd"] == "0.100000000001"


@pytest.mark.parametrize(("span", "bucket", "buckets"), [("90m", "1m", 90), ("12h", "1h", 12), ("30d", "1d", 30)])
def test_the_last_span_includes_the_present(run: Run, span: str, bucket: str, buckets: int) -> None:
    found = json.loads(run("--last", span, "--bucket", bucket, "--timezone", "Asia/Kolkata", "--json").stdout)
    assert len(found) in (buckets, buckets + 1)  # one more if the clock moved on between
    assert sum(row["requests"] for part in found for row in part["results"]) == 1


def test_thirty_days_are_the_default(run: Run) -> None:
    (line,) = table(run("--by", "user_id", "--measures", "requests"))[1:]
    assert line[0] in {f"{datetime.now(UTC) - timedelta(minutes=late):%Y-%m-%d}" for late in (0, 5)}
    assert line[1:] == ["now", "1"]
    assert run("--filter", "model=none").stdout == "no usage\n"


@pytest.mark.parametrize(
    ("words", "buckets"),
    [
        (("--end", "2023-12-01"), ("2023-11-01", 30)),
        (("--end", "2023-12-01", "--last", "1w"), ("2023-11-24", 7)),
        (("--end", "2023-11-30T12:00:00Z", "--last", "2d"), ("2023-11-29", 2)),
        (("--end", "2023-12-01", "--last", "12h", "--bucket", "1h"), ("2023-11-30", 12)),
    ],
)
def test_the_last_span_is_counted_back_from_the_end(run: Run, words: tuple[str, ...], buckets: tuple[str, int]) -> None:
    found = json.loads(run(*words, "--json").stdout)
    assert (found[0]["start"][:10], len(found)) == buckets


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--last", "month"), "--last"),
        (("--last", "0d"), "--last"),
        (("--last", "9999999w"), "--last"),
        (("--last", "1d", "--start", "2026-01-01"), "exclude each other"),
        (("--csv", "--json"), "exclude each other"),
        (("--start", "soon"), "--start"),
        (("--end", "2026-02-30"), "--end"),
        (("--end", "0001-01-01"), "--last"),
        (("--timezone", "Mars/Olympus"), "--timezone"),
        (("--bucket", "2d"), "--bucket"),
        (("--by", "colour"), "group_by"),
        (("--measures", "colour"), "measures"),
        (("--filter", "model"), "name=value"),
        (("--start", "2026-01-02", "--end", "2026-01-01"), "end"),
    ],
)
def test_bad_words_are_told(run: Run, words: tuple[str, ...], said: str) -> None:
    result = run(*words)
    assert result.exit_code != 0
    assert result.stdout == ""
    assert said in result.stderr
    assert "Traceback" not in result.stderr
