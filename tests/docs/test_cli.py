"""`docs/reference/cli.md` holds the help pages as they are printed."""

from tests.docs import pages
from tests.docs.generated import cli_page, command_words


def test_the_page_is_what_the_commands_say() -> None:
    assert pages.read("docs/reference/cli.md") == cli_page(), "run python -m tests.docs.write"


def test_every_command_has_its_help_page() -> None:
    page = pages.read("docs/reference/cli.md")
    words = command_words()
    assert {("serve",), ("import",), ("keys", "create"), ("prices", "set")} <= set(words)
    for names in words:
        title = " ".join(("tallybook", *names))
        assert f"Usage: {title} " in pages.section(page, f"## {title}")
