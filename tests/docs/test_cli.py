"""`docs/reference/cli.md` holds the help pages as they are printed."""

import click

from tests.docs import pages
from tests.docs.generated import cli_page, command_words, commands


def test_the_page_is_what_the_commands_say() -> None:
    assert pages.read("docs/reference/cli.md") == cli_page(), "run python -m tests.docs.write"


def test_every_command_has_its_help_page() -> None:
    page = pages.read("docs/reference/cli.md")
    words = command_words()
    assert {("serve",), ("import",), ("keys", "create"), ("prices", "set")} <= set(words)
    for names in words:
        title = " ".join(("tallybook", *names))
        assert f"Usage: {title} " in pages.section(page, f"## {title}")


def test_every_option_says_what_it_does() -> None:
    silent = [
        (*words, *option.opts)
        for words, command in commands().items()
        for option in command.params
        if isinstance(option, click.Option) and not option.help
    ]
    assert silent == []
