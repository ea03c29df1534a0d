"""What is taken out of messages, and what stays as it was sent, byte for byte."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallybook.requests.redaction import redacted, redacted_text

CARD = "4111 1111 1111 1111"
KEY = "sk-proj-abcdefghijklmnop1234"


def alone(told: bytes) -> bytes:
    (cleaned,) = redacted([told])
    return cleaned


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("write to ana.b+c@mail.example.org, please", "write to [redacted: email], please"),
        ("ü.ñ@exämple.de", "[redacted: email]"),
        ("\nana@example.org\n", "\n[redacted: email]\n"),
        (f"card {CARD}.", "card [redacted: card_number]."),
        ("4111-1111-1111-1111", "[redacted: card_number]"),
        (f"{CARD} 2027", "[redacted: card_number] 2027"),
        (f"2024 {CARD}", "2024 [redacted: card_number]"),
        ("3782 822463 10005", "[redacted: card_number]"),
        ("50 50 50 50 50 50 50 50 50 50 50 50", "50 50 50 50 50 50 50 50 50 50 50 50"),
        ("2019 2020 2021 2022 2023 2024", "2019 2020 2021 2022 2023 2024"),
        ("4111111111111111" * 2, "4111111111111111" * 2),  # too long
        ("n378282246310005", "n[redacted: card_number]"),
        (f"key={KEY}!", "key=[redacted: api_key]!"),
        ("AKIAIOSFODNN7EXAMPLE", "[redacted: api_key]"),
        ("Authorization: Bearer abcdefghijklmnop.qrstuv", "Authorization: [redacted: api_key]"),
        ("4111 1111 1111 1112", "4111 1111 1111 1112"),  # the checksum fails
        ("1706745600000 and 1706745600001", "1706745600000 and 1706745600001"),  # instants
        ("a @ b, @ana, 5@6", "a @ b, @ana, 5@6"),
        ("task-force sk-8", "task-force sk-8"),
    ],
)
def test_texts(text: str, cleaned: str) -> None:
    assert redacted_text(text) == cleaned
    for spell in (json.dumps(text), json.dumps(text, ensure_ascii=False)):
        assert json.loads(alone(f'[{spell},{{"{CARD}":1.50}}]'.encode())) == [
            cleaned,
            {"[redacted: card_number]": 1.5},
        ]


def test_an_escape_hides_nothing() -> None:
    assert alone(rb'"ana\u0040example.org"') == b'"[redacted: email]"'
    assert alone(rb'"\ud800 ana@example.org"') == b'"? [redacted: email]"'


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(JSON, st.sampled_from(["ana@example.org", CARD, KEY]), st.booleans())
def test_it_stays_json_of_the_same_shape_without_the_secret(value: Any, secret: str, is_ascii: bool) -> None:
    told = json.dumps([value, f"\t{secret}\n", secret], ensure_ascii=is_ascii).encode()
    cleaned = alone(told)
    assert secret not in json.dumps(json.loads(cleaned), ensure_ascii=False)
    assert len(json.loads(cleaned)) == 3


def test_what_holds_nothing_is_the_same_bytes() -> None:
    told = '[ {"content":"The quick \\n brown fox, 1.50 \\"twice\\" ✓", "n": 1e400} ]'.encode()
    assert alone(told) is told


SECRETS = st.sampled_from(
    ["ana@example.org", CARD, KEY, "4111 1111 ", "1111 1111", "ana@", "example.org", "Bearer ", ""]
)


@given(st.lists(SECRETS))
def test_many_at_once_are_as_each_by_itself(texts: list[str]) -> None:
    told = [json.dumps({"content": text}).encode() for text in texts]
    assert redacted(told) == list(map(alone, told))
    cut = [text.encode() for text in texts]  # what is whole only together with its neighbour
    assert redacted(cut) == list(map(alone, cut))


def test_time_is_linear_in_the_text() -> None:
    """What would take a backtracking engine hours: many beginnings of a match that never ends."""
    for beginning in ("a.", "1 ", "sk-", "a@a."):
        alone(json.dumps(beginning * 100_000).encode())
