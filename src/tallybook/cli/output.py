"""What a command prints: tables on a terminal, aligned text elsewhere, JSON when asked."""

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

from tallybook.sdk import exact_json

Record = Mapping[str, Any]

json_option: Callable[[Callable[..., Any]], Callable[..., Any]] = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON instead of a table."
)


def print_json(value: object) -> None:
    click.echo(exact_json.dumps(value))


def print_rows(rows: Sequence[Record], columns: Sequence[str], *, empty: str) -> None:
    """The named columns of each row, without those empty in all; `empty` is said where there is no row."""
    if not rows:
        click.echo(empty)
        return
    columns = [column for column in columns if any(row.get(column) is not None for row in rows)]
    cells = [[cell_text(row.get(column)) for column in columns] for row in rows]
    if sys.stdout.isatty():
        _print_table(columns, cells)
    else:
        _print_aligned([columns, *cells])


def print_record(record: Record) -> None:
    """One `name  value` line per field."""
    _print_aligned([[name, cell_text(value)] for name, value in record.items()])


def cell_text(value: object) -> str:
    """The value in one line, with nothing in it that a terminal would obey."""
    match value:
        case None:
            return "-"
        case str():
            text = value
        case list() | tuple():
            text = " ".join(map(str, value))
        case _:
            text = exact_json.dumps(value)
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def _print_aligned(lines: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _print_table(columns: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    """A table, or where the terminal is too narrow for its words a block of lines per row."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console, table = Console(), Table()
    widths = [_longest_word(column) for column in zip(columns, *cells, strict=True)]
    if sum(width + 3 for width in widths) >= console.width:
        _print_blocks(columns, cells)
        return
    for column, width in zip(columns, widths, strict=True):
        table.add_column(column, min_width=width)
    for line in cells:
        table.add_row(*map(Text, line))  # as Text, because a plain cell may hold rich's markup
    console.print(table)


def _longest_word(cells: Sequence[str]) -> int:
    return max((len(word) for cell in cells for word in cell.split()), default=0)


def _print_blocks(columns: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    for index, line in enumerate(cells):
        if index:
            click.echo()
        _print_aligned(list(zip(columns, line, strict=True)))
