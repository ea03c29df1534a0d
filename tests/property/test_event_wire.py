"""Random events on the wire: the fast and the careful reader agree, and only content decides the content hash."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tallybook.core.counters import COUNTERS
from tallybook.core.errors import InvalidInput, MalformedInput
from tallybook.core.time_window import SECOND_US, instant_text
from tallybook.http.native.event_wire import NDJSON, Reading, WireEvent, read_events, read_field_by_field
from tallybook.metering.event import UsageEvent
from tallybook.metering.identity import content_hash

JSON_TYPE = "application/json"
Pairs = list[tuple[str, Any]]


@dataclass(frozen=True)
class Written:
    """A piece of JSON as it is spelled."""

    text: str


@dataclass(frozen=True)
class Object:
    """A JSON object as pairs: in any order, and a name may come twice."""

    pairs: Pairs


def spelled(value: Any) -> str:
    match value:
        case Written(text):
            return text
        case Object(pairs):
            return "{" + ", ".join(f"{json.dumps(name)}: {spelled(inner)}" for name, inner in pairs) + "}"
        case dict():
            return spelled(Object(list(value.items())))
        case list():
            return "[" + ",".join(map(spelled, value)) + "]"
        case _:
            return json.dumps(value, ensure_ascii=False)


FIELDS = WireEvent.__struct_fields__
TEXTS = FIELDS[: FIELDS.index("metadata")]

texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
whole = st.integers(0, 10**7) | st.sampled_from([0, 1, 2**53 - 1])
numbers = st.sampled_from(
    [
        *("0", "-0", "-0.0", "1", "1.0", "1e3", "1E+3", "1.5e-7", "0.0000005", "-1", "-0.5", "9007199254740991"),
        *("9007199254740992", "9223372036854775808", "18446744073709551616", "1e400", "1e999999999"),
        *("1e99999999999999999999", "-1e400", "0.1234567890123456789012345678901234567", "9" * 400, "1769860800.25"),
    ]
).map(Written)
strings = texts | st.sampled_from(["", "x" * 255, "x" * 256, "5", "1.5", "NaN", "tab\t", "\x7f", "\u0085", "\u00e4"])
instants = st.sampled_from(
    [
        *("2026-01-31T12:00:00Z", "2026-01-31t13:00:00.1234567+01:00", "2026-02-30T00:00:00Z", "yesterday", ""),
        *(1769860800, Written("1769860800.9999999"), Written("1.7698608e9"), -1, True),
    ]
)
costs = st.sampled_from(
    ["0", "0.25", "-1", "1e-13", "9000000.000000000001", "1_0", "x", Written("0.25"), Written("1e400")]
)
anything = st.recursive(
    st.none() | st.booleans() | numbers | strings,
    lambda inner: (
        st.lists(inner, max_size=3) | st.lists(st.tuples(strings, inner), max_size=3).map(lambda pairs: Object(pairs))
    ),
    max_leaves=6,
)
objects = st.lists(st.tuples(strings, anything), max_size=3).map(Object)
counters = st.sampled_from([*COUNTERS, "unheard_of", "audio_seconds", "units"])
usages = st.lists(st.tuples(counters, whole | numbers | anything), max_size=5).map(Object)
nice_usages = st.lists(st.tuples(counters, whole | numbers), max_size=5).map(Object)

USUAL: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(TEXTS, texts),
    "metadata": objects,
    "occurred_at": instants,
    "cost_usd": costs,
    "latency_ms": whole,
    "ttft_ms": whole,
    "batch": st.booleans(),
    "background": st.booleans(),
    "stream": st.booleans(),
    "usage": nice_usages,
    "messages": anything,
}
HOSTILE = {**dict.fromkeys(FIELDS, anything), "usage": usages | anything, "unheard_of": anything}


@st.composite
def sent_events(draw: st.DrawFn) -> Object:
    """Mostly what senders send; now and then null, an unknown field, a name twice, or anything at all."""
    names = draw(st.lists(st.sampled_from([*FIELDS, "usage", "usage", "unheard_of"]), max_size=8))
    odd = draw(st.integers(0, 3)) == 0
    return Object([(name, draw(HOSTILE[name] if odd else USUAL.get(name, anything) | st.none())) for name in names])


@st.composite
def bodies(draw: st.DrawFn) -> tuple[bytes, str]:
    events = draw(st.lists(sent_events(), max_size=3))
    form = draw(st.sampled_from(["batch", "bare", "lines", "anything"]))
    if form == "lines":
        ends = st.sampled_from(["\n", "\r\n", "\n\n", " \n", "", "\r", ","])
        return "".join(spelled(event) + draw(ends) for event in events).encode(), NDJSON
    document: Any = Object([("events", events)])
    if form == "bare" and events:
        document = events[0]
    if form == "anything":
        document = draw(anything | objects.map(lambda rest: Object([("events", events), *rest.pairs])))
    return spelled(document).encode(), JSON_TYPE


def outcome(reading: Reading) -> tuple[Sequence[UsageEvent | None], Any, bool]:
    return list(reading.events), list(reading.faults), reading.bare


def read_both(body: bytes, content_type: str) -> tuple[Any, Any]:
    """What either reader makes of it: a reading, or a refusal."""
    answers: list[Any] = []
    for read in (read_events, read_field_by_field):
        try:
            answers.append(outcome(read(body, content_type, strict=False)))
        except (InvalidInput, MalformedInput) as error:
            answers.append((type(error), str(error)))
    return answers[0], answers[1]


@given(bodies())
@example((b'{"usage": {"audio_seconds": "1.5"}}', JSON_TYPE))
@example((b'{"usage": {"\\u0061udio_seconds": "1.5", "units": 0.5}}', JSON_TYPE))
@example((b'{"metadata": {"a": 1e99999999999999999999}}', JSON_TYPE))
@example((b'{"metadata": {"a": "Infinity"}}', JSON_TYPE))
@example((b'{"unheard_of": 1e99999999999999999999, "latency_ms": 1.0}', JSON_TYPE))
@example((b'{"id": "a"}{"id": "b"}', NDJSON))
@example((b'{"id":\n"a"}', NDJSON))
@example((b'{"id":\r"a"}\r\n{"id": "b"}', NDJSON))
@example((b'{"id": "a"}\n{"messages": ' + b"[" * 5000 + b"]" * 5000 + b"}", NDJSON))
@example((b'{"id": "a", "messages": "\xff"}', JSON_TYPE))
@example((b'{"unheard_of": "\\ud800"}', JSON_TYPE))
def test_both_readers_agree(sent: tuple[bytes, str]) -> None:
    fast, careful = read_both(*sent)
    assert fast == careful


@given(bodies(), st.booleans())
def test_faults_name_their_event(sent: tuple[bytes, str], strict: bool) -> None:
    try:
        reading = read_events(*sent, strict=strict)
    except (InvalidInput, MalformedInput):  # not events at all
        return
    faulty = {fault.loc[1] for fault in reading.faults}
    assert all(fault.loc[0] == "events" and fault.msg for fault in reading.faults)
    assert faulty == {index for index, event in enumerate(reading.events) if event is None}


@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    for content_type in (JSON_TYPE, NDJSON):
        fast, careful = read_both(body, content_type)
        assert fast == careful


@given(bodies())
def test_texts_that_count_as_checked_need_no_check(sent: tuple[bytes, str]) -> None:
    try:
        reading = read_events(*sent, strict=False)
    except (InvalidInput, MalformedInput):
        return
    if reading.texts_checked:
        for event in filter(None, reading.events):
            for name in TEXTS:
                value = getattr(event, name) or ""
                assert value.isprintable()
                assert len(value) <= (4096 if name == "description" else 255)


# What the content hash sees.

hashed_fields: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(TEXTS, texts),
    "metadata": st.dictionaries(texts, st.none() | st.booleans() | st.integers() | texts, max_size=4),
    "occurred_at": st.integers(946_684_800 * SECOND_US, 1_900_000_000 * SECOND_US),
    "cost_usd": st.decimals(0, 9_000_000, places=12).map(lambda usd: f"{usd:f}"),
    "latency_ms": whole,
    "ttft_ms": whole,
    "batch": st.booleans(),
    "background": st.booleans(),
    "stream": st.booleans(),
    "usage": st.dictionaries(
        st.sampled_from(sorted(COUNTERS)), whole.filter(lambda amount: amount < 2**33), max_size=6
    ),
}
valid_events = st.fixed_dictionaries({}, optional=hashed_fields)
DEFAULTS: dict[str, Any] = {
    "source": "",
    "kind": "completion",
    **dict.fromkeys(("batch", "background", "stream"), False),
    "usage": {},
}


def read_one(sent: Any) -> UsageEvent:
    if isinstance(sent, dict):
        sent = Object(list(sent.items()))
    if isinstance(moment := dict(sent.pairs).get("occurred_at"), int):
        sent = Object(
            [("occurred_at", instant_text(moment)) if pair[0] == "occurred_at" else pair for pair in sent.pairs]
        )
    reading = read_events(spelled(sent).encode(), JSON_TYPE, strict=False)
    assert not reading.faults
    (event,) = reading.events
    assert event is not None
    return event


def hashed(sent: Any) -> str:
    return content_hash(read_one(sent)).hex()


@given(valid_events, st.randoms(use_true_random=False))
def test_the_order_of_names_does_not_matter(sent: dict[str, Any], order: Any) -> None:
    def shuffled(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        pairs = [(name, shuffled(inner)) for name, inner in value.items()]
        order.shuffle(pairs)
        return Object(pairs)

    assert hashed(shuffled(sent)) == hashed(sent)


@given(valid_events, st.sets(st.sampled_from(FIELDS)), st.sets(st.sampled_from(sorted(COUNTERS))))
def test_null_is_absent(sent: dict[str, Any], names: set[str], counted: set[str]) -> None:
    nulls = {name: None for name in names if name not in sent}
    usage = {**dict.fromkeys(counted), **sent.get("usage", {})}
    assert hashed({**nulls, **sent, "usage": usage}) == hashed(sent)


@given(valid_events, st.sets(st.sampled_from(sorted(DEFAULTS))))
def test_a_default_may_be_spelled_out(sent: dict[str, Any], names: set[str]) -> None:
    assert hashed({**{name: DEFAULTS[name] for name in names}, **sent}) == hashed(sent)
    usage = {"requests": 1, **sent.get("usage", {})}
    assert hashed({**sent, "usage": usage}) == hashed(sent)


@given(valid_events, anything, anything)
def test_what_is_not_recognised_does_not_matter(sent: dict[str, Any], unknown: Any, messages: Any) -> None:
    usage = {**sent.get("usage", {}), "unheard_of": unknown}
    assert hashed({**sent, "usage": usage, "unheard_of": unknown, "messages": messages}) == hashed(sent)


@given(st.integers(946_684_800 * SECOND_US, 1_900_000_000 * SECOND_US), st.integers(-1439, 1439), st.integers(0, 10**9))
def test_the_spelling_of_an_instant_does_not_matter(instant_us: int, offset_minutes: int, beyond: int) -> None:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=instant_us)
    local = moment.astimezone(timezone(timedelta(minutes=offset_minutes)))
    zone = local.isoformat()[-6:]
    seconds, micros = divmod(instant_us, SECOND_US)
    spellings: list[Any] = [
        f"{local:%Y-%m-%dT%H:%M:%S}.{micros:06}{zone}",
        f"{local:%Y-%m-%dt%H:%M:%S}.{micros:06}{beyond}{zone}",
        Written(f"{seconds}.{micros:06}"),
        Written(f"{seconds}.{micros:06}{beyond}"),
        Written(f"{instant_us}e-6"),
        instant_text(instant_us),
    ]
    for spelling in spellings:
        assert read_one(Object([("occurred_at", spelling)])).occurred_at_us == instant_us


@given(st.decimals(0, 10**6, places=6))
def test_the_spelling_of_a_quantity_does_not_matter(amount: Decimal) -> None:
    spellings = (f"{amount:f}", f"{amount:f}0", f"{int(amount * 10**6)}e-6", f"{amount:E}")
    hashes = {hashed(Object([("usage", Object([("audio_seconds", Written(text))]))])) for text in spellings}
    assert len(hashes) == 1


@given(valid_events, st.sampled_from(sorted(hashed_fields)), st.data())
def test_a_change_of_any_recognised_field_matters(sent: dict[str, Any], name: str, data: st.DataObject) -> None:
    before = read_one(sent)
    after = read_one({**sent, name: data.draw(hashed_fields[name])})
    assert (content_hash(after) == content_hash(before)) == (normal(after) == normal(before))


def normal(event: UsageEvent) -> UsageEvent:
    """`requests` is 1 unless sent."""
    return msgspec.structs.replace(event, usage={"requests": 1, **event.usage})


@pytest.mark.parametrize("counter", sorted(set(COUNTERS) - {"requests"}))
def test_a_counter_of_0_is_not_an_absent_one(counter: str) -> None:
    assert hashed({"usage": {counter: 0}}) != hashed({})
