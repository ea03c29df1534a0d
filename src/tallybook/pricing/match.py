"""Which prices are meant by the names an event carries. Pure; letter case never matters."""

from collections.abc import Callable
from enum import StrEnum

import re2


class Match(StrEnum):
    """How a price names models: one name, all that begin so, or all that the pattern describes as a whole."""

    EQUALS = "equals"
    PREFIX = "prefix"
    REGEX = "regex"


class BadPattern(ValueError):
    """The text is no regular expression, or one that cannot be matched in linear time."""


NameTest = Callable[[str], bool]


def name_test(match: Match, model: str) -> NameTest:
    """Whether a lower-case model name is meant. Raises `BadPattern`."""
    if match is Match.REGEX:
        return _pattern_test(model)
    wanted = model.lower()
    if match is Match.PREFIX:
        return lambda name: name.startswith(wanted)
    return lambda name: name == wanted


def provider_fits(priced: str | None, named: str | None) -> bool:
    """Whether a price for the provider `priced` may be for an event that names `named`, both in lower case.

    Either may be silent: a price without provider is for all of them, an event without provider may be any.
    """
    return priced is None or named is None or priced == named


def split_provider(model: str, mark: str, is_known: Callable[[str], bool]) -> tuple[str | None, str]:
    """`openai:gpt-4o` at `:` as (`openai`, `gpt-4o`) if that provider is known; any other name stays whole."""
    provider, found, name = model.partition(mark)
    return (provider, name) if found and is_known(provider) else (None, model)


Closeness = tuple[int, int, bool]


def closeness(match: Match, model: str, *, same_provider: bool) -> Closeness:
    """How closely a fitting price is meant for an event; the smallest wins.

    Equals before prefix before regex, longer texts first; then one that says the same about the provider as the
    event does.
    """
    return (_MATCH_ORDER[match], -len(model), not same_provider)


_MATCH_ORDER = {match: order for order, match in enumerate(Match)}


def _pattern_test(pattern: str) -> NameTest:
    # RE2 matches in time linear to the name, whatever the pattern: patterns come from callers.
    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    options.max_mem = 2**20
    try:
        compiled = re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0].decode("utf-8", "replace")
        raise BadPattern(f"is no regular expression that can be used here: {reason}") from None
    return lambda name: compiled.fullmatch(name) is not None
