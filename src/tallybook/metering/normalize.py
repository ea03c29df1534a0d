"""From an event as told to an event ready to be stored: what must hold, and what the server fills in."""

import unicodedata
from collections.abc import Iterable
from functools import lru_cache

import msgspec

from tallybook.core.counters import COUNTERS, PARTS, Usage
from tallybook.core.errors import Fault
from tallybook.core.money import COST_PICO_MAX, COST_USD_MAX, COUNTER_MAX
from tallybook.core.time_window import DAY_US, instant_text, parse_instant
from tallybook.metering.event import Sender, UsageEvent

EARLIEST_US = parse_instant("2000-01-01T00:00:00Z")
TEXT_MAX = 255
DESCRIPTION_MAX = 4096
METADATA_MAX = 16_384
CONTEXTS = ("customer", "system")
RESERVED_SOURCE_PREFIX = "tallybook:"

_LONG_TEXTS = {"description": DESCRIPTION_MAX, "metadata": METADATA_MAX}


def faults_of(event: UsageEvent, sender: Sender, now_us: int, *, texts_checked: bool = False) -> list[Fault]:
    """Everything that keeps the event out, each with the field's place inside the event.

    `texts_checked`: whoever read the event made sure that its texts are within their lengths and hold no control
    character.
    """
    faults: list[Fault] = []
    if not texts_checked and not _is_plain(event):
        faults.extend(_text_faults(event))
    if event.source.startswith(RESERVED_SOURCE_PREFIX) and event.source != sender.source:
        faults.append(Fault(("source",), f"sources that begin with {RESERVED_SOURCE_PREFIX!r} are reserved"))
    if event.context is not None and event.context not in CONTEXTS:
        faults.append(Fault(("context",), f"must be one of {', '.join(CONTEXTS)}"))
    if event.occurred_at_us is not None and not EARLIEST_US <= event.occurred_at_us <= now_us + DAY_US:
        latest = instant_text(now_us + DAY_US)
        faults.append(
            Fault(("occurred_at",), f"must lie between {instant_text(EARLIEST_US)} and {latest} (a day ahead)")
        )
    if event.cost_pico is not None and not 0 <= event.cost_pico <= COST_PICO_MAX:
        faults.append(Fault(("cost_usd",), f"must be between 0 and {COST_USD_MAX} USD"))
    if event.unreported and (event.usage or event.cost_pico is not None):
        faults.append(Fault(("unreported",), "does not go with usage or cost_usd: then something was told"))
    if event.usage and max(event.usage.values()) > COUNTER_MAX:
        faults.extend(_unbounded(event.usage))
    for total, parts in _inclusions(tuple(event.usage)):
        amount = 0
        for part in parts:
            amount += event.usage[part]
        if amount > event.usage.get(total, 0):
            faults.append(_exceeding(event.usage, total, parts, amount))
    if not sender.may_name_others or sender.external_user_id is not None:
        faults.extend(_sender_faults(event, sender))
    return faults


def _is_plain(event: UsageEvent) -> bool:
    """A cheap sufficient check: texts that are short together and printable need no closer look."""
    together = "".join(filter(None, (*msgspec.structs.astuple(event)[:_TEXTS], event.api_key_used)))
    return len(together) <= TEXT_MAX and together.isprintable()


_TEXTS = UsageEvent.__struct_fields__.index("metadata") + 1


def _text_faults(event: UsageEvent) -> Iterable[Fault]:
    for name, value in zip(event.__struct_fields__, msgspec.structs.astuple(event), strict=True):
        if not isinstance(value, str):
            continue
        bound = _LONG_TEXTS.get(name, TEXT_MAX)
        if len(value) > bound:
            yield Fault((name,), f"must have at most {bound} characters")
        if name not in _LONG_TEXTS and any(map(_is_control, value)):
            yield Fault((name,), "must not contain control characters")


def _is_control(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cs")


def _unbounded(usage: Usage) -> Iterable[Fault]:
    """The bound of the columns of the store, whatever the reader of the event looked at."""
    for name, amount in usage.items():
        if amount > COUNTER_MAX:
            yield Fault(("usage", name), f"must be at most {COUNTER_MAX // COUNTERS[name].scale}")


@lru_cache(maxsize=4096)
def _inclusions(counters: tuple[str, ...]) -> list[tuple[str, tuple[str, ...]]]:
    """Which of these counters must together stay within which total."""
    groups = [(total, tuple(set(parts) & set(counters))) for total, groups in PARTS.items() for parts in groups]
    return [(total, parts) for total, parts in groups if parts]


def _exceeding(usage: Usage, total: str, parts: tuple[str, ...], amount: int) -> Fault:
    held = usage.get(total, 0)
    return Fault(
        ("usage", total), f"includes its parts, but {' + '.join(sorted(parts))} is {amount} and {total} {held}"
    )


def _sender_faults(event: UsageEvent, sender: Sender) -> Iterable[Fault]:
    if not sender.may_name_others:
        if event.user_id is not None and event.user_id != sender.user_id:
            yield Fault(("user_id",), "this key may only record usage of its own user")
        if event.api_key_id is not None and event.api_key_id != sender.key_id:
            yield Fault(("api_key_id",), "this key may only record usage of its own")
    on_behalf = sender.external_user_id
    if on_behalf is not None and event.external_user_id not in (None, on_behalf):
        yield Fault(("external_user_id",), "differs from X-On-Behalf-Of")
