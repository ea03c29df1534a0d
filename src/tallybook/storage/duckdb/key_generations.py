"""Sorted generations of older keys, as SQL on a connection.

A generation takes two commits. The first adds it to `older_keys`, beside the writer. The second is the writer's: `keys`
begins anew with those that came meanwhile. Between them keys stand in both, and never in neither.
"""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

import duckdb

from tallybook.storage.duckdb import key_filters
from tallybook.storage.duckdb.key_filters import Generations
from tallybook.storage.duckdb.lookup import select_by_join

_APART_MAX = 30
"""Keys that are looked up one by one, each in the one part of a generation that can hold it; more by one pass."""

_TOGETHER = 4
"""Generations that share a filter once there are so many: to ask one costs the same whatever it is made of."""


_QUARTERS = [(UUID(int=number << 126), UUID(int=(number + 1 << 126) - 1)) for number in range(4)]
"""Keys are sorted a quarter at a time, in a quarter of the memory: as hashes they are spread evenly."""

KEY_COLUMNS = "key, content, uid, occurred_at"
"""Those of a `Key`, in every table of keys."""


class Generation(NamedTuple):
    """`until`: the last commit with keys in it."""

    number: int
    until: int


class Key(NamedTuple):
    """`content`: hash of the first revision."""

    key: UUID
    content: UUID
    uid: UUID
    occurred_at_us: int


def newest(connection: duckdb.DuckDBPyConnection) -> Generation:
    """Number 0 if there is none."""
    ((number, until),) = connection.execute(
        "SELECT coalesce(max(number), 0), coalesce(max(until), 0) FROM key_generations"
    ).fetchall()
    return Generation(number, until)


def count(connection: duckdb.DuckDBPyConnection) -> int:
    """All keys, each once."""
    ((count,),) = connection.execute(
        "SELECT (SELECT coalesce(sum(keys), 0) FROM key_generations) + count(*) FROM keys WHERE seq > ?",
        [newest(connection).until],
    ).fetchall()
    return int(count)


def next_generation(connection: duckdb.DuckDBPyConnection, keys: int) -> Generation | None:
    """All of `keys`; None while there are fewer than so many, or those of the last generation are among them."""
    last = newest(connection)
    ((count, first, until),) = connection.execute("SELECT count(*), min(seq), max(seq) FROM keys").fetchall()
    if count < keys or first <= last.until:
        return None
    return Generation(last.number + 1, until)


def add(connection: duckdb.DuckDBPyConnection, generation: Generation, keys: int) -> None:
    """Adds it, and its filter for a multiple of so many keys. Raises `RuntimeError` if it is not what `keys` holds."""
    for first, last in _QUARTERS:
        connection.execute(
            f"INSERT INTO older_keys SELECT ?, {KEY_COLUMNS}, seq FROM keys"
            " WHERE seq <= ? AND key BETWEEN ? AND ? ORDER BY key",
            [*generation, first, last],
        )
    held = _sums(connection, f"keys WHERE seq <= {generation.until}")
    added = _sums(connection, f"older_keys WHERE generation = {generation.number}")
    if held != added:
        raise RuntimeError(f"generation {generation.number} holds {added}, of {held} keys")
    connection.execute("INSERT INTO key_generations VALUES (?, ?, ?)", [*generation, added[0]])
    _add_filter(connection, generation.number, keys)


def _add_filter(connection: duckdb.DuckDBPyConnection, number: int, keys: int) -> None:
    """Of this generation; of every fourth together with the three before, in place of theirs."""
    first = number - _TOGETHER + 1 if number % _TOGETHER == 0 else number
    if _keys(connection, first, number) > key_filters.KEYS_MAX:
        first = number
    # There may be many times more than it takes, and a filter that is too small lets everything pass. A multiple, so
    # that filters are of few sizes: those of one size share what is made of a key.
    bits = key_filters.bits_sql(
        key_filters.size_of(_keys(connection, first, number) // keys * keys),
        f"SELECT key FROM older_keys WHERE generation BETWEEN {first} AND {number}",
    )
    connection.execute("DELETE FROM key_filters WHERE first >= ?", [first])
    connection.execute(f"INSERT INTO key_filters SELECT ?, ?, ({bits})", [first, number])


def _keys(connection: duckdb.DuckDBPyConnection, first: int, last: int) -> int:
    ((keys,),) = connection.execute(
        "SELECT sum(keys) FROM key_generations WHERE number BETWEEN ? AND ?", [first, last]
    ).fetchall()
    return int(keys)


def begin_anew(writer: duckdb.DuckDBPyConnection, generation: int) -> None:
    """Leaves in `keys` those alone that stand in no generation up to this one."""
    ((until,),) = writer.execute("SELECT until FROM key_generations WHERE number = ?", [generation]).fetchall()
    ((replaced,),) = writer.execute("SELECT count(*) FROM keys WHERE seq <= ?", [until]).fetchall()
    if replaced:
        # Dropping a table and its index is quick, deleting from it is not.
        ((definition,),) = writer.execute("SELECT sql FROM duckdb_tables() WHERE table_name = 'keys'").fetchall()
        writer.execute(definition.replace("keys", "next_keys", 1))
        writer.execute("INSERT INTO next_keys SELECT * FROM keys WHERE seq > ?", [until])
        writer.execute("DROP TABLE keys")
        writer.execute("ALTER TABLE next_keys RENAME TO keys")


def filters(reader: duckdb.DuckDBPyConnection, after: int, until: int) -> list[tuple[Generations, bytes]]:
    """Those of the generations between, the last one with them, and of others that share them."""
    rows = reader.execute(
        "SELECT first, last, bits FROM key_filters WHERE last > ? AND first <= ? ORDER BY last", [after, until]
    ).fetchall()
    return [(Generations(first, last), bits) for first, last, bits in rows]


def find(reader: duckdb.DuckDBPyConnection, generations: Generations, keys: Sequence[bytes]) -> list[Key]:
    """Those of the keys that stand in these generations."""
    found = f"SELECT {KEY_COLUMNS} FROM older_keys WHERE {among(generations)} AND key "
    wanted = [UUID(bytes=key) for key in keys]
    if len(wanted) > _APART_MAX:
        rows = select_by_join(reader, wanted, found + "IN {}")
    else:
        rows = reader.execute(" UNION ALL ".join([found + "= ?"] * len(wanted)), wanted).fetchall()
    return [Key(*row) for row in rows]


def among(generations: Generations) -> str:
    """A condition on rows of `older_keys`."""
    return f"generation BETWEEN {generations.first} AND {generations.last}"


def _sums(connection: duckdb.DuckDBPyConnection, rows: str) -> tuple[int, int]:
    ((count, mixed),) = connection.execute(f"SELECT count(*), bit_xor(hash({KEY_COLUMNS}, seq)) FROM {rows}").fetchall()
    return count, mixed
