"""A progress bar by bytes, with rows, rate and time left; nothing where stderr is no terminal."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Advance = Callable[[int, int], None]
"""Called with the bytes and the rows done so far."""


@contextmanager
def open_bar(bytes_total: int, *, bytes_done: int, rows_done: int) -> Iterator[Advance]:
    if not sys.stderr.isatty():
        yield lambda _bytes, _rows: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (BarColumn(), TaskProgressColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=bytes_total, completed=bytes_done)

        def advance(bytes_now: int, rows_now: int) -> None:
            seconds = progress.tasks[0].elapsed or 0
            rate = (rows_now - rows_done) / seconds if seconds else 0
            progress.update(task, completed=bytes_now, description=f"{rows_now:,} rows, {rate:,.0f} rows/s")

        yield advance
