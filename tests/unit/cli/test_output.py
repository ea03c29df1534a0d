"""Tables as plain text, and the messages of failed calls."""

import sys

import pytest

from tallybook.cli.messages import message_of
from tallybook.cli.output import cell_text, print_rows
from tallybook.cli.pairs import Pair
from tallybook.cli.prices import rate_sheet
from tallybook.sdk.errors import APIError, Fault, Unreachable, error_kind


def test_rows_are_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows([{"id": "a", "n": 1}, {"id": "longer", "n": None}], ["id", "n"], empty="none")
    assert capsys.readouterr().out == "id      n\na       1\nlonger  -\n"


def test_a_terminal_gets_a_table_or_blocks_where_words_would_break(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    rows = [{"id": "price_1", "rates": ["input=1", "output=2"]}, {"id": "price_2", "rates": ["input=3"]}]
    monkeypatch.setenv("COLUMNS", "24")
    print_rows(rows, ["id", "rates"], empty="none")
    table = [line.split() for line in capsys.readouterr().out.splitlines() if "│" in line]
    assert table == [
        ["│", "price_1", "│", "input=1", "│"],
        ["│", "│", "output=2", "│"],
        ["│", "price_2", "│", "input=3", "│"],
    ]
    monkeypatch.setenv("COLUMNS", "20")
    print_rows(rows, ["id", "rates"], empty="none")
    assert capsys.readouterr().out == "id     price_1\nrates  input=1 output=2\n\nid     price_2\nrates  input=3\n"


def test_no_rows(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows([], ["id"], empty="no keys")
    assert capsys.readouterr().out == "no keys\n"


def test_cells_cannot_command_the_terminal() -> None:
    assert cell_text("a\x1b[2Jb\n") == "a\\x1b[2Jb\\n"


def test_every_fault_is_listed() -> None:
    faults = (Fault(("body", "name"), "is missing"), Fault(("body", "role"), "is unknown"))
    error = error_kind(422)(422, code="invalid", detail="two faults", errors=faults)
    assert message_of(error).splitlines()[1:] == ["  body.name: is missing", "  body.role: is unknown"]


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (401, "does not accept this key"),
        (403, "may not do that"),
        (404, "why (404 some_code)"),
        (500, "why (500 some_code)"),
        (503, "why (503 some_code)"),
    ],
)
def test_one_line_per_failure(status: int, words: str) -> None:
    error = error_kind(status)(status, code="some_code", detail="why")
    assert isinstance(error, APIError)
    assert words in message_of(error)
    assert "\n" not in message_of(error)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("overloaded", "the server is too busy (503: why); try again later"),
        ("outbox_full", "the server is too busy (503: why); try again later"),
        ("storage_full", "why (503 storage_full)"),
        ("storage_damaged", "why (503 storage_damaged)"),
        ("unavailable", "why (503 unavailable)"),
        ("catalogue_unreadable", "why (503 catalogue_unreadable)"),
    ],
)
def test_only_a_busy_server_is_told_as_one(code: str, message: str) -> None:
    assert message_of(error_kind(503)(503, code=code, detail="why")) == message


@pytest.mark.parametrize(
    ("seconds", "when"),
    [
        (None, "later"),
        (44, "in 44 s"),
        (119, "in 119 s"),
        (121, "in 3 min"),
        (3600, "in 1 h 0 min"),
        (44619, "in 12 h 24 min"),
    ],
)
def test_a_key_that_has_called_too_often_learns_when_to_try_again(seconds: int | None, when: str) -> None:
    error = error_kind(429)(
        429, code="rate_limited", detail="this key has called too often", retry_after_seconds=seconds
    )
    assert message_of(error) == f"this key has called too often (429 rate_limited); try again {when}"


def test_an_unreachable_server_says_how_to_start_one() -> None:
    assert "tallybook serve" in message_of(Unreachable("http://x", "refused"))


def test_rates() -> None:
    pairs = [Pair("input_tokens", "2.50"), Pair("audio_seconds", "0.0001/1")]
    assert rate_sheet(pairs, 1_000_000) == {
        "input_tokens": {"per": 1_000_000, "usd": "2.50"},
        "audio_seconds": {"per": 1, "usd": "0.0001"},
    }
