"""What a correction of many events makes of their costs, by org, model and day. Pure."""

from collections.abc import Sequence

import msgspec

from tallybook.analytics.answer import EventRecord
from tallybook.core.time_window import DAY_US, instant_text
from tallybook.corrections.errors import TooManyDifferences
from tallybook.corrections.model import Change


class Difference(msgspec.Struct):
    """Of one org, model and UTC day. Costs are picodollars, as far as they are known; of voided events 0."""

    org_id: str
    model: str | None
    day: str
    events: int = 0
    unpriced_before: int = 0
    unpriced_after: int = 0
    before_pico: int = 0
    after_pico: int = 0


class Differences:
    """Adds up changes. Raises `TooManyDifferences` for more than `rows_max` groups."""

    def __init__(self, rows_max: int) -> None:
        self._rows_max = rows_max
        self._rows: dict[tuple[str, str | None, str], Difference] = {}

    def add(self, event: EventRecord, change: Change) -> None:
        """`event` is what is in force before the change, or was last."""
        row = self._row(event)
        row.events += 1
        if change.superseded is not None:
            row.before_pico += event.known_cost_pico
            row.unpriced_before += event.cost_pico is None
        if change.row is not None:
            row.after_pico += change.row.rating.known_cost_pico
            row.unpriced_after += change.row.rating.cost_pico is None

    def rows(self) -> Sequence[Difference]:
        """By org, day and model."""
        return sorted(self._rows.values(), key=lambda row: (row.org_id, row.day, row.model or ""))

    def _row(self, event: EventRecord) -> Difference:
        model = event.fields.get("model")
        day = instant_text(event.occurred_at_us // DAY_US * DAY_US)[:10]
        key = (event.org_id, None if model is None else str(model), day)
        if key not in self._rows:
            if len(self._rows) == self._rows_max:
                raise TooManyDifferences(self._rows_max)
            self._rows[key] = Difference(*key)
        return self._rows[key]
