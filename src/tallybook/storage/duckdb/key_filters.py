"""Tells of a key whether generations of older ones may hold it: Bloom filters, made by DuckDB, kept in memory.

Keys are hashes, so their halves serve as the two hash functions from which all positions are made (Kirsch and
Mitzenmacher, Less Hashing, Same Performance, 2006).
"""

from collections.abc import Iterable, Mapping, Sequence
from struct import Struct
from typing import NamedTuple

_BITS_PER_KEY = 30
_POSITIONS = 10
"""With 30 bits for each key, 3 of a million others pass for one of theirs."""
_BITS_MAX = 10**9
"""As many as DuckDB aggregates; with more keys than that is made for, more others pass."""
KEYS_MAX = _BITS_MAX // _BITS_PER_KEY

_HALVES = Struct(">QQ").unpack


def size_of(keys: int) -> int:
    """Bits of a filter for about so many keys; whole bytes."""
    return min(keys * _BITS_PER_KEY, _BITS_MAX)


def bits_sql(size: int, keys: str) -> str:
    """The bits that a filter of this size has set for `keys`, a query of one UUID column `key`, as a BLOB in SQL."""
    positions = ", ".join(f"(low + {number} * high) % {size}" for number in range(_POSITIONS))
    return f"""
        SELECT bitstring_agg(position::INTEGER, 0, {size - 1})::BLOB
        FROM (SELECT unnest([{positions}]) AS position
              FROM (SELECT ((whole & {2**64 - 1}::UHUGEINT)::UBIGINT % {size})::BIGINT AS low,
                           ((whole >> 64)::UBIGINT % {size})::BIGINT AS high
                    FROM (SELECT key::UHUGEINT AS whole FROM ({keys}))))
    """


class Generations(NamedTuple):
    """Those from `first` to `last`."""

    first: int
    last: int


class Places(NamedTuple):
    """Where keys may stand among the older ones: in these generations, or in any after `known`."""

    known: int
    generations: Mapping[Generations, list[bytes]]


class KeyFilters:
    """Of the generations up to `known`. The writer takes them in; any thread may ask."""

    def __init__(self) -> None:
        self.known = 0
        self._by_size: Mapping[int, Sequence[tuple[bytes, Generations]]] = {}

    def take(self, filters: Sequence[tuple[Generations, bytes]], known: int) -> None:
        """Adds some, in place of those with the same generations. Every generation up to `known` has one then."""
        begun = min(generations.first for generations, _ in filters)
        held = [each for some in self._by_size.values() for each in some if each[1].last < begun]
        held += [(bits, generations) for generations, bits in filters]
        self._by_size = {
            8 * size: [each for each in held if len(each[0]) == size] for size in {len(bits) for bits, _ in held}
        }
        self.known = known  # last: who reads it first finds its filter

    def places(self, keys: Iterable[bytes]) -> Places:
        """For new keys there is nearly always none."""
        known = self.known
        found: dict[Generations, list[bytes]] = {}
        for size, filters in self._by_size.items():
            for key in keys:
                high, low = _HALVES(key)
                position, step, left = low % size, high % size, filters
                for _ in range(_POSITIONS):
                    byte, bit = position >> 3, 128 >> (position & 7)
                    left = [each for each in left if each[0][byte] & bit]
                    if not left:
                        break
                    position = (position + step) % size
                for _, generations in left:
                    found.setdefault(generations, []).append(key)
        return Places(known, found)
