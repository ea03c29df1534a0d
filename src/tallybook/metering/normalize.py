"""From an event as told to an event ready to be stored: what must hold, and what the server fills in."""

import unicodedata
from collections.abc import Iterable

import msgspec

from tallybook.core.counters import PARTS, Usage
from tallybook.core.errors import Fault, Location
from tallybook.core.money import COST_USD_MAX, PICO_PER_USD
from tallybook.core.time_window import DAY_US, instant_text, parse_instant
from tallybook.metering.event import Sender, UsageEvent

EARLIEST_US = parse_instant("2000-01-01T00:00:00Z")
TEXT_MAX = 255
DESCRIPTION_MAX = 4096
METADATA_MAX = 16_384
CONTEXTS = ("customer", "system")
RESERVED_SOURCE_PREFIX = "tallybook:"

_LONG_TEXTS = {"description": DESCRIPTION_MAX, "metadata": METADATA_MAX}


def faults_of(event: UsageEvent, canonical: str, sender: Sender, now_us: int) -> list[Fault]:
    """Everything that keeps the event out, each with the field's place inside the event."""
    faults: list[Fault] = []
    if not _plain(canonical, event):
        faults.extend(_text_faults(event))
    if event.source.startswith(RESERVED_SOURCE_PREFIX):
        faults.append(Fault(("source",), f"sources that begin with {RESERVED_SOURCE_PREFIX!r} are reserved"))
    if event.context is not None and event.context not in CONTEXTS:
        faults.append(Fault(("context",), f"must be one of {', '.join(CONTEXTS)}"))
    if event.occurred_at_us is not None and not EARLIEST_US <= event.occurred_at_us <= now_us + DAY_US:
        latest = instant_text(now_us + DAY_US)
        faults.append(Fault(("occurred_at",), f"must lie between {instant_text(EARLIEST_US)} and {latest} (a day ahead)"))
    if event.cost_pico is not None and not 0 <= event.cost_pico <= COST_USD_MAX * PICO_PER_USD:
        faults.append(Fault(("cost_usd",), f"must be between 0 and {COST_USD_MAX} USD"))
    if not _PART_NAMES.isdisjoint(event.usage):
        faults.extend(_part_faults(event.usage))
    if not sender.may_name_others or sender.external_user_id is not None:
        faults.extend(_sender_faults(event, sender))
    return faults


def _plain(canonical: str, event: UsageEvent) -> bool:
    """A cheap sufficient check: texts this short without any odd character need no closer look."""
    return len(canonical) <= TEXT_MAX and canonical.isprintable() and (event.id or " ").isprintable()


def _text_faults(event: UsageEvent) -> Iterable[Fault]:
    for name, value in zip(event.__struct_fields__, msgspec.structs.astuple(event), strict=True):
        if not isinstance(value, str):
            continue
        bound = _LONG_TEXTS.get(name, TEXT_MAX)
        if len(value) > bound:
            yield Fault((name,), f"must have at most {bound} characters")
        if name != "description" and any(map(_is_control, value)):
            yield Fault((name,), "must not contain control characters")


def _is_control(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cs")


_PART_NAMES = frozenset(part for groups in PARTS.values() for parts in groups for part in parts)


def _part_faults(usage: Usage) -> Iterable[Fault]:
    for total, groups in PARTS.items():
        for parts in groups:
            sum_of_parts = sum(usage.get(part, 0) for part in parts)
            if sum_of_parts > usage.get(total, 0):
                named = " + ".join(part for part in parts if part in usage)
                loc: Location = ("usage", total)
                yield Fault(loc, f"includes its parts, but {named} is {sum_of_parts} and {total} {usage.get(total, 0)}")


def _sender_faults(event: UsageEvent, sender: Sender) -> Iterable[Fault]:
    if not sender.may_name_others:
        if event.user_id is not None and event.user_id != sender.user_id:
            yield Fault(("user_id",), "this key may only record usage of its own user")
        if event.api_key_id is not None and event.api_key_id != sender.key_id:
            yield Fault(("api_key_id",), "this key may only record usage of its own")
    on_behalf = sender.external_user_id
    if on_behalf is not None and event.external_user_id not in (None, on_behalf):
        yield Fault(("external_user_id",), "differs from X-On-Behalf-Of")
