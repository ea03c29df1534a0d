"""What keeps an event out, one rule after another."""

import pytest

from tallybook.core.counters import COUNTERS, PARTS, Usage
from tallybook.core.money import COST_PICO_MAX, COUNTER_MAX
from tallybook.core.time_window import DAY_US, parse_instant
from tallybook.metering.event import Sender, UsageEvent
from tallybook.metering.normalize import faults_of

NOW = parse_instant("2026-01-31T12:00:00Z")
Y2K = parse_instant("2000-01-01T00:00:00Z")
ADMIN = Sender("org", "key_admin", may_name_others=True)
ANA = Sender("org", "key_ana", user_id="ana")
DEVICE = Sender("org", "key_device")


def faults(event: UsageEvent, sender: Sender = ADMIN, *, texts_checked: bool = False) -> list[tuple[str, str]]:
    found = faults_of(event, sender, NOW, texts_checked=texts_checked)
    return [(".".join(map(str, fault.loc)), fault.msg) for fault in found]


def places(event: UsageEvent, sender: Sender = ADMIN) -> list[str]:
    return [place for place, _ in faults(event, sender)]


def test_an_empty_event_has_no_fault() -> None:
    assert faults(UsageEvent()) == []


@pytest.mark.parametrize(
    ("usage", "total"),
    [
        ({"input_tokens": 5, "cache_read_tokens": 5}, None),
        ({"input_tokens": 5, "cache_read_tokens": 6}, "input_tokens"),
        ({"input_tokens": 5, "cache_read_tokens": 3, "cache_write_tokens": 2}, None),
        ({"input_tokens": 5, "cache_read_tokens": 3, "cache_write_tokens": 3}, "input_tokens"),
        # Cached and audio may be the same tokens, so they are not added.
        ({"input_tokens": 5, "cache_read_tokens": 5, "input_audio_tokens": 5}, None),
        ({"input_tokens": 5, "input_audio_tokens": 3, "input_image_tokens": 3}, "input_tokens"),
        ({"output_tokens": 5, "reasoning_tokens": 5, "output_audio_tokens": 5}, None),
        ({"output_tokens": 5, "reasoning_tokens": 6}, "output_tokens"),
        ({"cache_read_tokens": 1}, "input_tokens"),
        ({"cache_read_tokens": 0}, None),
        ({"input_tokens": 9, "cache_write_tokens": 4, "cache_write_5m_tokens": 2, "cache_write_1h_tokens": 2}, None),
        (
            {"input_tokens": 9, "cache_write_tokens": 4, "cache_write_5m_tokens": 2, "cache_write_12h_tokens": 3},
            "cache_write_tokens",
        ),
        ({"input_tokens": 9, "input_audio_tokens": 1, "cache_read_audio_tokens": 1, "cache_read_tokens": 1}, None),
        (
            {"input_tokens": 9, "input_audio_tokens": 1, "cache_read_audio_tokens": 2, "cache_read_tokens": 2},
            "input_audio_tokens",
        ),
        ({"images": 3, "bytes": 7, "requests": 0}, None),
    ],
    ids=str,
)
def test_totals_include_their_parts(usage: Usage, total: str | None) -> None:
    assert places(UsageEvent(usage=usage)) == ([] if total is None else [f"usage.{total}"])


def test_the_fault_of_a_total_says_which_parts_exceed_it() -> None:
    ((_, message),) = faults(UsageEvent(usage={"input_tokens": 5, "cache_read_tokens": 4, "cache_write_tokens": 3}))
    assert message == "includes its parts, but cache_read_tokens + cache_write_tokens is 7 and input_tokens 5"


@pytest.mark.parametrize(
    ("total", "part"), sorted({(total, part) for total, groups in PARTS.items() for parts in groups for part in parts})
)
def test_every_part_stays_within_its_total(total: str, part: str) -> None:
    usage = {**dict.fromkeys(COUNTERS, 0), total: 1, part: 2}
    assert f"usage.{total}" in places(UsageEvent(usage=usage))


@pytest.mark.parametrize("name", COUNTERS)
def test_every_counter_has_its_bound(name: str) -> None:
    assert f"usage.{name}" not in places(UsageEvent(usage={name: COUNTER_MAX}))
    assert f"usage.{name}" in places(UsageEvent(usage={name: COUNTER_MAX + 1}))


def test_the_fault_of_a_counter_names_the_bound_in_its_unit() -> None:
    found = faults(UsageEvent(usage={"images": 2**63, "audio_seconds": 2**64, "bytes": 1}))
    assert found == [
        ("usage.images", "must be at most 9007199254740991"),
        ("usage.audio_seconds", "must be at most 9007199254"),
    ]


@pytest.mark.parametrize(
    ("instant_us", "lets_in"),
    [
        (Y2K - 1, False),
        (Y2K, True),
        (NOW, True),
        (NOW + DAY_US, True),
        (NOW + DAY_US + 1, False),
        (0, False),
        (-1, False),
        (2**70, False),
    ],
)
def test_usage_happened_from_2000_to_a_day_ahead(instant_us: int, lets_in: bool) -> None:
    assert places(UsageEvent(occurred_at_us=instant_us)) == ([] if lets_in else ["occurred_at"])


def test_the_fault_of_a_time_names_both_ends() -> None:
    ((_, message),) = faults(UsageEvent(occurred_at_us=0))
    assert message == "must lie between 2000-01-01T00:00:00Z and 2026-02-01T12:00:00Z (a day ahead)"


@pytest.mark.parametrize(
    ("cost_pico", "lets_in"), [(0, True), (COST_PICO_MAX, True), (COST_PICO_MAX + 1, False), (-1, False)]
)
def test_a_given_cost_has_its_bounds(cost_pico: int, lets_in: bool) -> None:
    assert places(UsageEvent(cost_pico=cost_pico)) == ([] if lets_in else ["cost_usd"])


@pytest.mark.parametrize(("context", "lets_in"), [("customer", True), ("system", True), ("Customer", False)])
def test_a_context_is_one_of_two(context: str, lets_in: bool) -> None:
    assert places(UsageEvent(context=context)) == ([] if lets_in else ["context"])


@pytest.mark.parametrize(
    ("source", "lets_in"),
    [("", True), ("otlp", True), ("tallybook", True), ("tallybook:usage_log", False), ("tallybook:", False)],
)
def test_our_own_sources_are_reserved(source: str, lets_in: bool) -> None:
    assert places(UsageEvent(source=source)) == ([] if lets_in else ["source"])


@pytest.mark.parametrize(
    ("event", "place"),
    [
        (UsageEvent(id="x" * 255, description="x" * 4096, metadata="x" * 16_384), None),
        (UsageEvent(id="é" * 255), None),
        (UsageEvent(id="x" * 256), "id"),
        (UsageEvent(description="x" * 4097), "description"),
        (UsageEvent(metadata="x" * 16_385), "metadata"),
        (UsageEvent(description="two\nlines\x85"), None),
        (UsageEvent(metadata='{"a":"\x7f\x85"}'), None),
        (UsageEvent(model="two\nlines"), "model"),
        (UsageEvent(user_id="nul\x00"), "user_id"),
        (UsageEvent(request_id="del\x7f"), "request_id"),
        (UsageEvent(session_id="next line\x85"), "session_id"),
        (UsageEvent(kind="lone \ud800"), "kind"),
        (UsageEvent(api_key_used="sk-…\x1b[2J"), "api_key_used"),
        (UsageEvent(api_key_used="x" * 256), "api_key_used"),
        (UsageEvent(model="blank and no-break\u00a0blank, joined \u200d, private \ue000"), None),
    ],
    ids=lambda value: str(value)[:30],
)
def test_texts_are_short_and_without_control_characters(event: UsageEvent, place: str | None) -> None:
    assert places(event) == ([] if place is None else [place])


def test_checked_texts_are_not_checked_again() -> None:
    assert faults(UsageEvent(id="x" * 256), texts_checked=True) == []


@pytest.mark.parametrize(
    ("sender", "event", "place"),
    [
        (ANA, UsageEvent(), None),
        (ANA, UsageEvent(user_id="ana", api_key_id="key_ana"), None),
        (ANA, UsageEvent(user_id="bob"), "user_id"),
        (ANA, UsageEvent(user_id="Ana"), "user_id"),
        (ANA, UsageEvent(api_key_id="key_bob"), "api_key_id"),
        (ANA, UsageEvent(external_user_id="anybody"), None),
        (DEVICE, UsageEvent(user_id="ana"), "user_id"),
        (DEVICE, UsageEvent(api_key_id="key_device"), None),
        (ADMIN, UsageEvent(user_id="bob", api_key_id="key_bob"), None),
    ],
)
def test_who_may_be_named(sender: Sender, event: UsageEvent, place: str | None) -> None:
    assert places(event, sender) == ([] if place is None else [place])


@pytest.mark.parametrize(("named", "lets_in"), [(None, True), ("end-1", True), ("end-2", False)])
@pytest.mark.parametrize("may_name_others", [True, False])
def test_nobody_names_another_end_user_than_the_header(named: str | None, lets_in: bool, may_name_others: bool) -> None:
    sender = Sender("org", "key", external_user_id="end-1", may_name_others=may_name_others)
    assert places(UsageEvent(external_user_id=named), sender) == ([] if lets_in else ["external_user_id"])


def test_all_faults_are_found_at_once() -> None:
    event = UsageEvent(
        id="tab\t",
        source="tallybook:x",
        context="else",
        occurred_at_us=0,
        cost_pico=-1,
        user_id="bob",
        usage={"reasoning_tokens": 1, "cache_read_tokens": 1},
    )
    assert sorted(places(event, ANA)) == [
        "context",
        "cost_usd",
        "id",
        "occurred_at",
        "source",
        "usage.input_tokens",
        "usage.output_tokens",
        "user_id",
    ]
