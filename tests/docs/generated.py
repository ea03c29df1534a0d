"""The parts of the documentation that are made from what runs. `python -m tests.docs.write` writes them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import click
from annotated_types import Ge, Le, MinLen
from click.testing import CliRunner
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from tallybook.cli.main import COMMANDS, main
from tallybook.cli.serve import serve
from tallybook.settings import Settings

BEGIN, END = "<!-- settings: begin -->\n", "<!-- settings: end -->\n"
TERMINAL_WIDTH = 100
_TYPES: dict[Any, str] = {
    str: "text",
    int: "integer",
    float: "number",
    bool: "boolean",
    Path: "path",
    SecretStr: "secret text",
}
_UNITS = ("bytes", "events", "rows", "days", "seconds", "ms", "threads")


def settings_page(page: str) -> str:
    """`docs/settings.md` with the table between its marks made anew."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{settings_table()}{END}{after}"


def settings_table() -> str:
    lines = ["| Variable | Flag | Type | Default | Unit | Meaning |", "|---|---|---|---|---|---|"]
    for name, field in Settings.model_fields.items():
        cells = [f"`TALLYBOOK_{name.upper()}`", _flag(name), _type(field), _default(field), _unit(name)]
        meaning = (field.description or "").replace("<", "\\<")  # a page would take it for a tag
        lines.append(f"| {' | '.join([*cells, meaning])} |")
    return "\n".join(lines) + "\n"


def _flag(name: str) -> str:
    flags = [option for parameter in serve.params if parameter.name == name for option in parameter.opts]
    return ", ".join(f"`{flag}`" for flag in flags)


def _type(field: FieldInfo) -> str:
    kinds = [kind for kind in get_args(field.annotation) if kind is not type(None)]
    kind: Any = kinds[0] if kinds else field.annotation
    word = "list of texts" if field.annotation == list[str] else _TYPES[kind]
    return ", ".join([word, *_bounds(field)])


def _bounds(field: FieldInfo) -> Iterator[str]:
    for bound in field.metadata:
        match bound:
            case Ge(ge=least):
                yield f"at least {least}"
            case Le(le=most):
                yield f"at most {most}"
            case MinLen(min_length=least):
                yield f"at least {least} characters"


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True, validated_data={})
    if value is None:
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{'./data' if value == Path('./data') else value}`"


def _unit(name: str) -> str:
    return next((unit for unit in _UNITS if unit in name.split("_")), "")


def command_words() -> list[tuple[str, ...]]:
    """The words of every command and group, in the order of the help."""
    return list(commands())


def commands() -> dict[tuple[str, ...], click.Command]:
    """Every command and group by its words, in the order of the help."""
    found: dict[tuple[str, ...], click.Command] = {(): main}
    for name in COMMANDS:
        command = main.get_command(click.Context(main), name)
        assert command is not None
        found[name,] = command
        if isinstance(command, click.Group):
            found.update({(name, inner): each for inner, each in command.commands.items()})
    return found


def cli_page() -> str:
    """`docs/reference/cli.md`: the help pages as they are printed."""
    parts = ["# Commands\n\nThe help pages, written by `python -m tests.docs.write`.\n"]
    for words in command_words():
        title = " ".join(("tallybook", *words))
        help_page = CliRunner().invoke(
            main, [*words, "--help"], prog_name="tallybook", terminal_width=TERMINAL_WIDTH, catch_exceptions=False
        )
        parts.append(f"## {title}\n\n```text\n{help_page.stdout}```\n")
    return "\n".join(parts)
