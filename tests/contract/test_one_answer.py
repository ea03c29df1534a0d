"""The same question, asked in every way there is, has one answer: that of a plain count over what was told.

The data has every trap: events sent twice, sent late, amended, voided and restored, costs that are rated, given and
unknown, and the day on which Europe changes its clocks.
"""

import csv
import io
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from random import Random
from typing import Any

import httpx
import pytest
from click.testing import CliRunner
from meetkai_mka1 import SDK
from openai import OpenAI

from tallybook.cli.main import main
from tallybook.sdk import exact_json
from tests.contract.correction_calls import amend, correct
from tests.contract.readers import Org, org_on
from tests.serving import ServerProcess

HOUR, DAY = 3_600, 86_400
SATURDAY = int(datetime(2026, 3, 28, tzinfo=UTC).timestamp())
RATES = {"input_tokens": "2.5", "cache_read_tokens": "1.25", "output_tokens": "10"}
RATED_MODELS = ("gpt-4o", "gpt-4o-mini")
TEXT_KINDS = ("completion", "response")
KINDS = (*TEXT_KINDS, *TEXT_KINDS, *TEXT_KINDS, "embedding", "image", "sandbox", "api_call")

Group = str | None
Tokens = tuple[int, ...]
"""Requests, input, output and cached tokens."""


@dataclass(frozen=True)
class Span:
    """An aligned range: whole hours or days, in UTC and in the zone. Times are Unix seconds."""

    start: int
    end: int
    width: str
    zone: str = "UTC"


THREE_DAYS = Span(SATURDAY, SATURDAY + 3 * DAY, "1d")
# In Berlin the 29th has 23 hours.
CHANGE_OF_CLOCKS = Span(SATURDAY + 23 * HOUR, SATURDAY + 46 * HOUR, "1h", "Europe/Berlin")
SPANS = pytest.mark.parametrize("span", [THREE_DAYS, CHANGE_OF_CLOCKS], ids=["three days", "change of clocks"])


@pytest.fixture(scope="module")
def told(server: ServerProcess) -> Iterator["Told"]:
    with org_on(server, "acme") as org, org_on(server, "other") as other:
        made = Told(org)
        other.send(*[event(Random(number), number) for number in range(20)])
        yield made


class Told:
    """The org with its data, and what of it is in force."""

    def __init__(self, org: Org) -> None:
        self.org = org
        rates = {unit: {"per": 10**6, "usd": usd} for unit, usd in RATES.items()}
        for model in RATED_MODELS:
            wanted = {"model": model, "effective_from": "2020-01-01T00:00:00Z", "rates": rates}
            org.cluster.put("/v1/prices", json=wanted).raise_for_status()
        random = Random(8)
        events = [event(random, number) for number in range(400)]
        self.in_force = {one["id"]: one for one in events}
        early, late = events[:300], events[300:]
        self.uids = self._send(early)
        self._correct(random, early)
        self.uids |= self._send(late)
        self._correct(random, late)
        again = org.cluster.post("/v1/events", json={"events": events}).raise_for_status().json()
        assert (again["inserted"], again["duplicates"]) == (0, len(events))

    def _send(self, events: list[dict[str, Any]]) -> dict[str, str]:
        return dict(zip((one["id"] for one in events), self.org.send(*events), strict=True))

    def _correct(self, random: Random, events: list[dict[str, Any]]) -> None:
        for one in random.sample(events, 30):
            uid, changed = self.uids[one["id"]], {**one, **amendment(random)}
            what = random.choice(["amend", "void", "restore"])
            if what == "amend":
                fields = {name: value for name, value in changed.items() if name not in ("id", "kind", "occurred_at")}
                amend(self.org.admin, uid, 1, **fields).raise_for_status()
                self.in_force[one["id"]] = changed
                continue
            correct(self.org.admin, uid, "void", expected_revision=1).raise_for_status()
            if what == "restore":
                correct(self.org.admin, uid, "restore", expected_revision=1).raise_for_status()
            else:
                del self.in_force[one["id"]]

    def within(self, span: Span, kinds: Sequence[str] = KINDS) -> list[dict[str, Any]]:
        return [
            one
            for one in self.in_force.values()
            if span.start <= one["occurred_at"] < span.end and one["kind"] in kinds
        ]


def event(random: Random, number: int) -> dict[str, Any]:
    return {
        "id": f"event-{number}",
        "kind": random.choice(KINDS),
        "occurred_at": SATURDAY - DAY // 2 + random.randrange(4 * DAY),
        "user_id": random.choice(["ana", "bob"]),
        "api_key_id": random.choice(["key_1", "key_2"]),
        **amendment(random),
    }


def amendment(random: Random) -> dict[str, Any]:
    cost = {"cost_usd": f"0.{random.randrange(10**12):012}"} if random.random() < 0.4 else {}
    total = random.randrange(10**6)
    usage = {
        "input_tokens": total,
        "cache_read_tokens": random.randrange(total + 1),
        "output_tokens": random.randrange(10**4),
        "requests": random.randrange(1, 4),
    }
    return {"model": random.choice([*RATED_MODELS, "unheard-of"]), "usage": usage, **cost}


def cost_of(one: Mapping[str, Any]) -> Decimal | None:
    """None: unpriced."""
    if "cost_usd" in one:
        return Decimal(one["cost_usd"])
    if one["model"] not in RATED_MODELS:
        return None
    usage = one["usage"]
    pools = {**usage, "input_tokens": usage["input_tokens"] - usage["cache_read_tokens"]}
    return sum((pools[unit] * Decimal(usd) for unit, usd in RATES.items()), Decimal(0)) / 10**6


# --- tokens and requests


def counted(told: Told, span: Span, group: str | None) -> dict[tuple[int, Group], Tokens]:
    """The answer: by the start of the bucket and the group."""
    seconds = {"1h": HOUR, "1d": DAY}[span.width]
    rows = (
        (one["occurred_at"] // seconds * seconds, one[group] if group else None, tokens_of(one["usage"]))
        for one in told.within(span, TEXT_KINDS)
    )
    return added_up(rows)


def tokens_of(usage: Mapping[str, int]) -> Tokens:
    return usage["requests"], usage["input_tokens"], usage["output_tokens"], usage["cache_read_tokens"]


def added_up(rows: Any) -> dict[tuple[int, Group], Tokens]:
    sums: defaultdict[tuple[int, Group], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for start, label, numbers in rows:
        for place, number in enumerate(numbers):
            sums[start, label][place] += number
    return {key: tuple(found) for key, found in sums.items()}


NUMBERS = ("requests", "input_tokens", "output_tokens", "cache_read_tokens")


def native_query(span: Span, group: str | None, **more: Any) -> dict[str, Any]:
    query: dict[str, Any] = {"start": span.start, "end": span.end, "bucket": span.width, "timezone": span.zone, **more}
    return {**query, "limit": 1440} | ({"group_by": group} if group else {})


def second_of(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


def natively(told: Told, server: ServerProcess, span: Span, group: str | None) -> Any:
    query = native_query(span, group, kind=TEXT_KINDS, measures=NUMBERS)
    body = told.org.admin.get("/v1/usage/query", params=query).raise_for_status().json()
    for bucket in body["data"]:
        for row in bucket["results"]:
            yield second_of(bucket["start"]), row[group] if group else None, [row[name] for name in NUMBERS]


def by_csv(told: Told, server: ServerProcess, span: Span, group: str | None) -> Any:
    query = native_query(span, group, kind=TEXT_KINDS, measures=NUMBERS, format="csv")
    answer = told.org.admin.get("/v1/usage/query", params=query).raise_for_status()
    for row in csv.DictReader(io.StringIO(answer.text)):
        yield second_of(row["start"]), row[group] if group else None, [int(row[name]) for name in NUMBERS]


def by_command(told: Told, server: ServerProcess, span: Span, group: str | None) -> Any:
    kinds = [part for kind in TEXT_KINDS for part in ("--filter", f"kind={kind}")]
    for row in csv.DictReader(io.StringIO(printed(told, span, group, NUMBERS, *kinds))):
        yield second_of(row["start"]), row[group] if group else None, [int(row[name]) for name in NUMBERS]


def printed(told: Told, span: Span, group: str | None, measures: Sequence[str], *more: str) -> str:
    """What `tallybook usage --csv` prints."""
    start, end = (datetime.fromtimestamp(second, UTC).isoformat() for second in (span.start, span.end))
    options = ["--start", start, "--end", end, "--bucket", span.width, "--timezone", span.zone, "--csv"]
    options += ["--measures", ",".join(measures), *(["--by", group] if group else []), *more]
    where = ["--url", str(told.org.admin.base_url), "--key", told.org.keys["admin"]]
    result = CliRunner().invoke(main, ["usage", *options, *where])
    assert result.exit_code == 0, result.output
    return result.stdout


def through_openai(told: Told, server: ServerProcess, span: Span, group: str | None) -> Any:
    with OpenAI(admin_api_key=told.org.keys["admin"], base_url=f"{server.url}/v1") as client:
        usage: Any = client.admin.organization.usage
        groups = {"group_by": [group]} if group else {}
        page = usage.completions(start_time=span.start, end_time=span.end, bucket_width=span.width, limit=31, **groups)
    assert not page.has_more
    for bucket in page.data:
        for row in bucket.results:
            numbers = [row.num_model_requests, row.input_tokens, row.output_tokens, row.input_cached_tokens]
            yield bucket.start_time, getattr(row, group) if group else None, numbers


def through_mka1(told: Told, server: ServerProcess, span: Span, group: str | None) -> Any:
    """Completions and responses are two questions there."""
    groups: dict[str, Any] = {"group_by": [group]} if group else {}
    with SDK(bearer_auth=told.org.keys["admin"], server_url=server.url) as sdk:
        ask: dict[str, Any] = {"start_time": span.start, "end_time": span.end, "bucket_width": span.width, "limit": 31}
        pages: list[Any] = [sdk.llm.usage.completions(**ask, **groups), sdk.llm.usage.responses(**ask, **groups)]
    for page in pages:
        for bucket in page.data:
            for row in bucket.results:
                told_of: Any = row if isinstance(row, dict) else row.model_dump()
                numbers = [
                    told_of[name]
                    for name in ("num_model_requests", "input_tokens", "output_tokens", "input_cached_tokens")
                ]
                yield bucket.start_time, told_of[group] if group else None, numbers


@pytest.mark.parametrize("group", [None, "model", "user_id", "api_key_id"])
@SPANS
@pytest.mark.parametrize("ask", [natively, by_csv, by_command, through_openai, through_mka1])
def test_tokens_and_requests_are_the_same_everywhere(
    told: Told, server: ServerProcess, ask: Callable[..., Any], span: Span, group: str | None
) -> None:
    expected = counted(told, span, group)
    assert len(expected) >= 3
    assert added_up(ask(told, server, span, group)) == expected


def test_credits_tells_the_same_tokens(told: Told) -> None:
    """It has one summary over days, and counts records, not requests."""
    found = credits_summary(told.org.admin, usageType="text")
    (expected,) = added_up((0, None, tokens_of(one["usage"])) for one in told.within(THREE_DAYS, TEXT_KINDS)).values()
    assert (found["totalInputTokens"], found["totalOutputTokens"], found["totalCachedTokens"]) == expected[1:]
    assert found["recordCount"] == len(told.within(THREE_DAYS, TEXT_KINDS))


def credits_summary(client: httpx.Client, **query: str) -> dict[str, Any]:
    asked = {"summary": "true", "startDate": "2026-03-28", "endDate": "2026-03-30", **query}
    answer = client.get("/v1/usage", params=asked).raise_for_status()
    summary: dict[str, Any] = exact_json.loads(answer.content)["summary"]
    return summary


# --- costs


Costs = dict[Group, tuple[Decimal, int | None]]
"""By group: what is known, and for how many requests it is not (None: the format does not tell)."""


def spent(events: Sequence[Mapping[str, Any]], group: str | None) -> Costs:
    sums: dict[Group, tuple[Decimal, int]] = {}
    for one in events:
        label = one[group] if group else None
        cost, unpriced = sums.get(label, (Decimal(0), 0))
        known = cost_of(one)
        sums[label] = (cost + (known or 0), unpriced + (one["usage"]["requests"] if known is None else 0))
    return dict(sums)


def costs_natively(told: Told, span: Span, group: str | None) -> Costs:
    query = native_query(span, group, measures=["cost_usd", "unpriced_requests"])
    body = told.org.admin.get("/v1/usage/query", params=query).raise_for_status().json()
    rows = [row for bucket in body["data"] for row in bucket["results"]]
    return summed((row[group] if group else None, row["cost_usd"], row["unpriced_requests"]) for row in rows)


def costs_by_csv(told: Told, span: Span, group: str | None) -> Costs:
    query = native_query(span, group, measures=["cost_usd", "unpriced_requests"], format="csv")
    return costs_in(told.org.admin.get("/v1/usage/query", params=query).raise_for_status().text, group)


def costs_by_command(told: Told, span: Span, group: str | None) -> Costs:
    return costs_in(printed(told, span, group, ["cost_usd", "unpriced_requests"]), group)


def costs_in(text: str, group: str | None) -> Costs:
    rows = csv.DictReader(io.StringIO(text))
    return summed((row[group] if group else None, row["cost_usd"], int(row["unpriced_requests"])) for row in rows)


def report_query(span: Span, group: str | None) -> dict[str, Any]:
    return {"start_time": span.start, "end_time": span.end, **({"group_by": group} if group else {})}


def costs_through_openai(told: Told, span: Span, group: str | None) -> Costs:
    query = report_query(span, group)
    answer = told.org.admin.get("/v1/organization/costs", params=query).raise_for_status()
    rows = [row for bucket in exact_json.loads(answer.content)["data"] for row in bucket["results"]]
    return summed((row[group] if group else None, row["amount"]["value"], row["unpriced_requests"]) for row in rows)


def costs_through_mka1(told: Told, span: Span, group: str | None) -> Costs:
    query = report_query(span, group)
    answer = told.org.admin.get("/api/v1/budgeting/usage/costs", params=query).raise_for_status()
    body = exact_json.loads(answer.content)
    rows = [(row[group] if group else None, row["cost"], row["unpriced_requests"]) for row in body["data"]]
    return summed(rows if group else [(None, body["total_cost"], body["unpriced_requests"])])


def summed(rows: Any) -> Costs:
    sums: dict[Group, tuple[Decimal, int]] = {}
    for label, amount, unpriced in rows:
        cost, requests = sums.get(label, (Decimal(0), 0))
        sums[label] = (cost + Decimal(str(amount)), requests + unpriced)
    return dict(sums)


@pytest.mark.parametrize("group", [None, "user_id", "api_key_id"])
@SPANS
@pytest.mark.parametrize(
    "ask", [costs_natively, costs_by_csv, costs_by_command, costs_through_openai, costs_through_mka1]
)
def test_costs_are_the_same_to_the_picodollar_everywhere(
    told: Told, ask: Callable[[Told, Span, str | None], Costs], span: Span, group: str | None
) -> None:
    expected = spent(told.within(span), group)
    assert any(cost % Decimal("0.000000001") for cost, _ in expected.values())
    assert any(unpriced for _, unpriced in expected.values())
    assert ask(told, span, group) == expected


def test_cost_lines_are_the_same_cost_in_parts(told: Told) -> None:
    query = report_query(THREE_DAYS, "line_item")
    answer = told.org.admin.get("/v1/organization/costs", params=query).raise_for_status()
    rows = [row for bucket in exact_json.loads(answer.content)["data"] for row in bucket["results"]]
    ((expected, _),) = spent(told.within(THREE_DAYS), None).values()
    assert sum(Decimal(str(row["amount"]["value"])) for row in rows) == expected
    quantities: defaultdict[str, Decimal] = defaultdict(Decimal)
    for row in rows:
        if row["quantity"] is not None:
            quantities[row["line_item"]] += row["quantity"]
    rated = [one for one in told.within(THREE_DAYS) if "cost_usd" not in one and one["model"] == "gpt-4o"]
    usage = [one["usage"] for one in rated]
    assert quantities["gpt-4o, cache_read_tokens"] == sum(one["cache_read_tokens"] for one in usage)
    assert quantities["gpt-4o, input_tokens"] == sum(one["input_tokens"] - one["cache_read_tokens"] for one in usage)


@pytest.mark.parametrize("group", ["model", "api_key_id"])
@SPANS
def test_mka1_rounds_costs_of_language_models_once_to_the_nanodollar(told: Told, span: Span, group: str) -> None:
    query = report_query(span, group)
    answer = told.org.admin.get("/api/v1/llm/usage/costs", params=query).raise_for_status()
    body = exact_json.loads(answer.content)
    kinds = [kind for kind in KINDS if kind not in ("sandbox", "api_call")]
    exact = spent(told.within(span, kinds), group)
    total = sum((cost for cost, _ in exact.values()), Decimal(0))
    nano = Decimal("0.000000001")
    assert Decimal(str(body["total_cost"])) == total.quantize(nano, ROUND_HALF_EVEN)
    rows = {row[group]: Decimal(str(row["cost"])) for row in body["data"]}
    assert sum(rows.values()) == Decimal(str(body["total_cost"]))
    assert all(abs(rows[label] - cost) < nano for label, (cost, _) in exact.items())


def test_credits_tells_the_same_costs(told: Told) -> None:
    found = credits_summary(told.org.admin)
    events = told.within(THREE_DAYS)
    ((expected, _),) = spent(events, None).values()
    assert Decimal(str(found["totalCostUsd"])) == expected
    assert found["unpricedCount"] == sum(cost_of(one) is None for one in events)
    models = {model: Decimal(str(row["costUsd"])) for model, row in found["byModel"].items()}
    assert models == {model: cost for model, (cost, _) in spent(events, "model").items()}
