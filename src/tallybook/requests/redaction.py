"""What is taken out of messages before they are stored. Every pattern runs in time linear in the text (RE2)."""

import json
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import Any

import msgspec
import re2

PATTERNS: Mapping[str, str] = {
    "email": r"[\p{L}\p{N}._%+'-]+@[\p{L}\p{N}.-]+\.\p{L}{2,}",
    "api_key": (
        r"(?:(?:sk|pk|rk)[-_][A-Za-z0-9_-]{16,}|AKIA[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}"
        r"|glpat-[\w-]{16,}|xox[abprs]-[\w-]{10,}|AIza[\w-]{30,}|hf_[A-Za-z0-9]{20,}|tb_[\w-]{16,}"
        r"|(?i:bearer) +[A-Za-z0-9._~+/=-]{16,})"
    ),
    "card_number": r"\d(?:[ -]?\d){12,}",
}
"""By name. Among digits a card number is what is grouped and begins like one and passes its checksum."""

_CARD_SIZES = range(13, 20)
_CARD_GROUPS = {(4, 4, 4, 4), (4, 4, 4, 4, 3), (4, 4, 4, 1), (4, 6, 5), (4, 6, 4)}
# Of the issuers: Visa 4, Mastercard 51 to 55 and 2221 to 2720, American Express 34 and 37, Diners Club 30, 36, 38 and
# 39, JCB 35, Discover, Maestro and UnionPay 50 and 56 to 69.
_CARD_BEGINNING = re2.compile(r"[456]|3[0456789]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720")
_DIGITS = re2.compile(r"\d+")

# Nearly every text holds none of these, and then it need not be taken apart. In JSON a letter may be more than one byte
# or an escape, and the escape of an ASCII character may spell anything.
_MAY_HOLD = re2.compile(
    rb"[\w.%+'\x80-\xff-]@[\w.\\\x80-\xff-]*\.[\w\\\x80-\xff]|\\u00[2-7]|\d(?:[ -]?\d){12}|"
    + PATTERNS["api_key"].encode()
)
_JSON_TEXT = re2.compile(rb'"(?:[^"\\]|\\.)*"')
_NAMED: Mapping[str, Any] = {name: re2.compile(pattern) for name, pattern in PATTERNS.items()}


def redacted(told: Sequence[bytes]) -> list[bytes]:
    """Each JSON with what the patterns describe replaced, inside its texts alone; every other byte stays.

    One search through all of them tells which may hold anything: no match goes beyond the end of a line.
    """
    starts = list(accumulate((len(text) + 1 for text in told), initial=0))
    found = {bisect_right(starts, match.start()) - 1 for match in _MAY_HOLD.finditer(b"\n".join(told))}
    return [_redacted(text) if index in found else text for index, text in enumerate(told)]


def _redacted(told: bytes) -> bytes:
    return bytes(_JSON_TEXT.sub(lambda found: _redacted_literal(found[0]), told))


def _redacted_literal(literal: bytes) -> bytes:
    if _MAY_HOLD.search(literal) is None:
        return literal
    # Half a surrogate pair is no character: JSON can spell it, UTF-8 cannot.
    text = json.loads(literal).encode(errors="replace").decode()
    cleaned = redacted_text(text)
    return literal if cleaned == text else msgspec.json.encode(cleaned)


def redacted_text(text: str) -> str:
    for name, pattern in _NAMED.items():
        text = pattern.sub(_REPLACE[name], text)
    return text


def _mark(name: str) -> str:
    return f"[redacted: {name}]"


def _without_cards(run: str) -> str:
    """Digits, with single blanks and hyphens between some of them, without the card numbers among them."""
    groups = [group.span() for group in _DIGITS.finditer(run)]
    kept, end, first = [], 0, 0
    while first < len(groups):
        count = next((count for count in (1, 5, 4, 3) if _is_card(run, groups[first : first + count], count)), 0)
        if count:
            kept += [run[end : groups[first][0]], _mark("card_number")]
            end = groups[first + count - 1][1]
        first += count or 1
    return "".join([*kept, run[end:]])


def _is_card(run: str, groups: Sequence[tuple[int, int]], count: int) -> bool:
    parts = [run[start:end] for start, end in groups]
    digits, sizes = "".join(parts), tuple(map(len, parts))
    fits = len(digits) in _CARD_SIZES if count == 1 else len(parts) == count and sizes in _CARD_GROUPS
    return fits and _CARD_BEGINNING.match(digits) is not None and _checks(list(map(int, digits)))


def _checks(digits: list[int]) -> bool:
    """The checksum of Luhn: from the last digit on, every second one counts double, and its own digits are added."""
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return (sum(digits[::-2]) + sum(doubled)) % 10 == 0


_REPLACE: Mapping[str, Callable[..., str]] = {
    "email": lambda _: _mark("email"),
    "api_key": lambda _: _mark("api_key"),
    "card_number": lambda found: _without_cards(found[0]),
}
