"""Which events are stored, by their keys: the newest under a primary key, all older ones in sorted generations.

Keys are hashes, so a checkpoint writes nearly all of an index over them again, and what DuckDB has read of an index
stays in memory: it must stay small. The primary key is the judge of the newest. For those before, a filter in memory
says of nearly every new key that it is not there, and of the others the generation itself.
"""

from collections.abc import Iterable, Sequence
from uuid import UUID

from tallybook.storage.duckdb import key_generations
from tallybook.storage.duckdb.engine import DuckEngine
from tallybook.storage.duckdb.key_generations import KEY_COLUMNS, Key
from tallybook.storage.duckdb.lookup import select_by


class Keys:
    """On the writer's thread only: what `find_older` has not found may be inserted until `turn` is called again."""

    def __init__(self, engine: DuckEngine) -> None:
        self._engine = engine
        self._filters = engine.key_filters

    def turn(self) -> None:
        """Lets `keys` begin anew if a generation was added meanwhile. Raises `StorageFull`.

        Its filter is read before: once the keys are gone from `keys` nothing may fail until it is asked.
        """
        newest = self._engine.key_generation
        if newest <= self._filters.known:
            return
        with self._engine.reading() as reader:
            added = key_generations.filters(reader, self._filters.known, newest)
        with self._engine.transaction() as writer:
            key_generations.begin_anew(writer, newest)
        self._filters.take(added, newest)

    def find_older(self, keys: Iterable[bytes]) -> list[Key]:
        """Those of the keys that stand in a generation."""
        candidates = self._filters.places(keys).generations
        if not candidates:
            return []
        with self._engine.reading() as reader:
            found = [key_generations.find(reader, *place) for place in candidates.items()]
        return [key for some in found for key in some]

    def find_newest(self, keys: Sequence[bytes]) -> list[Key]:
        """Those of the keys that stand under the primary key."""
        with self._engine.reading() as reader:
            wanted = [UUID(bytes=key) for key in keys]
            return [Key(*row) for row in select_by(reader, wanted, f"SELECT {KEY_COLUMNS} FROM keys WHERE key IN {{}}")]
