"""The golden vectors of identities and content hashes, made once more from their description alone.

Nothing below `by_hand` uses the package: what it implements is `contracts/native/README.md`, from the event as JSON to
the hash. A failing vector means that events stored by earlier releases would no longer meet their repeats.
"""

import hashlib
import json
import struct
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tallybook.core.counters import COUNTERS
from tallybook.http.native.event_wire import WireEvent, read_events
from tallybook.metering.event import FIELD_NUMBERS, UsageEvent
from tallybook.metering.identity import canonical, content_hash, derived_id, identity_of, request_key_of

GOLDEN = json.loads((Path(__file__).parents[3] / "contracts/native/content_hash.json").read_text("utf-8"))


def words(text: str) -> list[str]:
    return text.split()


TEXTS = words("""
    id source kind user_id external_user_id project_id team_id api_key_id account_id transaction_id session_id context
    image_size image_quality image_operation vector_store_id context_level api_source session_kind provider model
    operation endpoint service_tier request_id finish_reason description
""")
NUMBERED = [
    *TEXTS,
    *words("metadata occurred_at cost_usd latency_ms ttft_ms batch background stream usage api_key_used unreported"),
]
FLAGS = dict.fromkeys(words("batch background stream unreported"), False)
DEFAULTS = {"source": "", "kind": "completion", "usage": {}, **FLAGS}
MILLIONTHS = {"audio_seconds", "characters", "units", "peak_memory_mib"}
WHOLE = set(
    words("""
        input_tokens output_tokens cache_read_tokens cache_write_tokens cache_write_5m_tokens cache_write_30m_tokens
        cache_write_1h_tokens cache_write_12h_tokens reasoning_tokens input_audio_tokens output_audio_tokens
        cache_read_audio_tokens input_image_tokens output_image_tokens cache_read_image_tokens images web_searches
        requests bytes conversations_created items_added operations files_created request_count duration_ms
        workspace_bytes_in workspace_bytes_out files_changed oom_killed reserved_memory_mib
    """)
)


def canonical_by_hand(text: str) -> bytes:
    sent = json.loads(text, parse_float=Decimal)
    values = {name: normal(name, sent[name]) for name in NUMBERED if sent.get(name) is not None}
    kept = {str(NUMBERED.index(name) + 1): value for name, value in values.items() if value != DEFAULTS.get(name)}
    return b"\xde" + struct.pack(">H", len(kept)) + b"".join(packed(part) for pair in kept.items() for part in pair)


def normal(name: str, value: Any) -> Any:
    match name:
        case "occurred_at":
            return microseconds(value)
        case "cost_usd":
            return rounded(value, 12)
        case "metadata":
            return plain_json(value)
        case "usage":
            counted = {
                counter: rounded(amount, 6) if counter in MILLIONTHS else amount
                for counter, amount in sorted(value.items())
                if counter in MILLIONTHS | WHOLE and amount is not None
            }
            return {counter: amount for counter, amount in counted.items() if (counter, amount) != ("requests", 1)}
        case _:
            return value


def microseconds(value: str | int | Decimal) -> int:
    if isinstance(value, str):
        moment = datetime.fromisoformat(value.upper())
        return int(moment.replace(microsecond=0).timestamp()) * 10**6 + moment.microsecond
    return int(Decimal(value).scaleb(6))


def rounded(value: str | int | Decimal, places: int) -> int:
    with localcontext() as context:
        context.prec = 100
        return int(Decimal(value).scaleb(places).quantize(Decimal(1), ROUND_HALF_EVEN))


def plain_json(value: Any) -> str:
    match value:
        case dict():
            return "{" + ",".join(f"{plain_json(name)}:{plain_json(value[name])}" for name in sorted(value)) + "}"
        case list():
            return "[" + ",".join(map(plain_json, value)) + "]"
        case Decimal():
            return str(value)
        case _:
            return json.dumps(value, ensure_ascii=False)


def packed(value: Any) -> bytes:
    """MessagePack, each value in its shortest form."""
    match value:
        case bool():
            return b"\xc3" if value else b"\xc2"
        case int():
            return packed_integer(value)
        case str():
            data = value.encode()
            return head(len(data), (0xA0, 31), (0xD9, ">B"), (0xDA, ">H"), (0xDB, ">I")) + data
        case dict():
            inner = b"".join(packed(part) for pair in value.items() for part in pair)
            return head(len(value), (0x80, 15), (0xDE, ">H"), (0xDF, ">I")) + inner
    raise TypeError(type(value))


def packed_integer(value: int) -> bytes:
    return head(value, (0x00, 127), (0xCC, ">B"), (0xCD, ">H"), (0xCE, ">I"), (0xCF, ">Q"))


def head(value: int, small: tuple[int, int], *wider: tuple[int, str]) -> bytes:
    base, largest = small
    if value <= largest:
        return bytes([base + value])
    mark, form = next((mark, form) for mark, form in wider if value < 256 ** struct.calcsize(form))
    return bytes([mark]) + struct.pack(form, value)


def blake(person: bytes, data: bytes, size: int = 16) -> str:
    return hashlib.blake2b(data, digest_size=size, person=person).hexdigest()


def joined(*parts: str) -> bytes:
    return "".join(f"{len(part)}:{part}" for part in parts).encode()


def read(text: str) -> UsageEvent:
    (event,) = read_events(text.encode(), "application/json", strict=False).events
    assert event is not None
    return event


def vectors() -> list[Any]:
    return [pytest.param(vector, id=vector["what"]) for vector in GOLDEN["content"]]


@pytest.mark.parametrize("vector", vectors())
def test_content_has_its_golden_hash(vector: dict[str, str]) -> None:
    event = read(vector["event"])
    assert canonical(event).hex() == vector["canonical"]
    assert content_hash(event).hex() == vector["hash"]


@pytest.mark.parametrize("vector", vectors())
def test_the_description_leads_to_the_same_hash(vector: dict[str, str]) -> None:
    by_hand = canonical_by_hand(vector["event"])
    assert by_hand.hex() == vector["canonical"]
    assert "01" + blake(b"content", by_hand, 15) == vector["hash"]


def test_names_are_hashed_as_golden() -> None:
    for row in GOLDEN["identities"]:
        org_id, source, event_id = row["org_id"], row["source"], row["id"]
        expected = blake(b"event", joined(org_id, source, event_id))
        assert identity_of(org_id, source, event_id).hex() == expected == row["identity"]
    for row in GOLDEN["requests"]:
        org_id, request_id = row["org_id"], row["request_id"]
        assert request_key_of(org_id, request_id).hex() == blake(b"request", joined(org_id, request_id)) == row["key"]
    for row in GOLDEN["derived_ids"]:
        org_id, key, index = row["org_id"], row["idempotency_key"], row["index"]
        assert derived_id(org_id, key, index) == blake(b"derived-id", joined(org_id, key, str(index))) == row["id"]


def test_equal_hashes_are_where_the_golden_file_says_so() -> None:
    """Only a vector that tells another again has its hash."""
    first_with: dict[str, str] = {}
    for vector in GOLDEN["content"]:
        again = vector["hash"] in first_with
        first_with.setdefault(vector["hash"], vector["what"])
        assert again == (vector["what"] in AGAIN), vector["what"]
    names = [row["identity"] for row in GOLDEN["identities"]]
    assert len(set(names)) == len(names)


AGAIN = {
    "nothing but nulls",
    "every default spelled out",
    "the same call, spelled otherwise",
    "the same call, seen from another zone",
    "the same decimals, spelled otherwise",
    "the same cost, spelled otherwise",
    "messages are no content",
}


def test_every_field_and_counter_has_a_vector() -> None:
    sent = [json.loads(vector["event"], parse_float=Decimal) for vector in GOLDEN["content"]]
    assert {name for event in sent for name, value in event.items() if value is not None} >= set(
        WireEvent.__struct_fields__
    ) - {"provider_response"}  # read into the other fields
    assert {counter for event in sent for counter in event.get("usage") or ()} >= set(COUNTERS)
    assert set(COUNTERS) == WHOLE | MILLIONTHS
    assert {name for name, counter in COUNTERS.items() if counter.is_decimal} == MILLIONTHS


def test_field_numbers_stand() -> None:
    wire_names = {"occurred_at_us": "occurred_at", "cost_pico": "cost_usd"}
    assert {wire_names.get(name, name): number for name, number in FIELD_NUMBERS.items()} == {
        name: str(number) for number, name in enumerate(NUMBERED, start=1)
    }


@pytest.mark.parametrize("characters", [65_535, 65_536, 16_384])
def test_long_metadata_takes_longer_heads(characters: int) -> None:
    """16 384 characters can take 65 536 bytes, which no 16-bit head can say."""
    text = ("😀" if characters == 16_384 else "x") * characters
    expected = b"\xde\x00\x01" + packed("28") + packed(text)
    assert canonical(UsageEvent(metadata=text)) == expected


def test_a_default_counts_as_one_wherever_it_was_made() -> None:
    """The encoder leaves out defaults by identity, and a decoded text is never the same object."""
    kind = msgspec.json.decode(b'"completion"')
    assert canonical(UsageEvent(kind=kind)) == canonical(UsageEvent())
    assert canonical(UsageEvent(source="".join([]))) == canonical(UsageEvent())
    assert canonical(UsageEvent(usage={"requests": 1})) == canonical(UsageEvent())
