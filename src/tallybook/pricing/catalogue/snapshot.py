"""One version of a catalogue, as its translator hands it over, and what comes of taking it over."""

from collections.abc import Sequence
from dataclasses import dataclass

from tallybook.pricing.catalogue.changes import Change
from tallybook.pricing.catalogue.names import ProviderNames
from tallybook.pricing.price import NewPrice


@dataclass(frozen=True)
class Snapshot:
    """The prices of all models, each named `equals` by provider and the catalogue's own model id.

    The prices of a key begin one after the other; those that begin together are for different parts of the day
    and cover it. `version` names the snapshot, such as `genai-prices 0.2.3`.
    """

    version: str
    providers: Sequence[ProviderNames]
    prices: Sequence[NewPrice]


@dataclass(frozen=True)
class PriceLists:
    """What is installed: the catalogue, and our own prices that fill its holes and come before it.

    The overlay's prices of a key end before others of that key begin; they may leave parts of the day free.
    """

    catalogue: Snapshot
    overlay: Sequence[NewPrice]


@dataclass(frozen=True)
class Synced:
    """A sync that is done: from which version (None: the first) to which, and how many prices it recorded."""

    before: str | None
    version: str
    recorded: int


@dataclass(frozen=True)
class Differences:
    """What a sync would record."""

    recorded_version: str | None
    installed_version: str
    changes: Sequence[Change]
