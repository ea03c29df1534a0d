"""`docs/settings.md` says of every setting what `settings.py` says, and names none that is not there."""

import re
from pathlib import Path

from tallybook.settings import Settings
from tests.docs import pages
from tests.docs.generated import settings_page, settings_table

OF_COMMANDS = {"TALLYBOOK_BASE_URL", "TALLYBOOK_API_KEY"}
OF_TESTS = {"TALLYBOOK_TEST_LONG"}


def test_the_table_is_what_the_settings_are() -> None:
    page = pages.read("docs/settings.md")
    assert page == settings_page(page), "run python -m tests.docs.write"


def test_every_setting_has_a_row_with_its_default() -> None:
    rows = {row[0].strip("`"): row for row in pages.rows(settings_table())[1:]}
    assert set(rows) == {f"TALLYBOOK_{name.upper()}" for name in Settings.model_fields}
    assert rows["TALLYBOOK_BODY_BYTES_MAX"][2:5] == ["integer, at least 1024", "`16777216`", "bytes"]
    assert rows["TALLYBOOK_PORT"][1:4] == ["`--port`", "integer, at least 0, at most 65535", "`8080`"]


def test_no_page_names_a_variable_that_nobody_reads() -> None:
    known = {f"TALLYBOOK_{name.upper()}" for name in Settings.model_fields} | OF_COMMANDS | OF_TESTS
    assert set(re.findall(r"TALLYBOOK_[A-Z_]*[A-Z]", pages.everything())) <= known


def test_every_setting_is_used() -> None:
    """A documented setting that nothing reads is a promise that nobody keeps; one stood here once."""
    sources = [path for path in (pages.ROOT / "src").rglob("*.py") if path.name != "settings.py"]
    text = "\n".join(map(Path.read_text, sources))
    unused = [name for name in Settings.model_fields if not re.search(rf"settings\.{name}\b", text)]
    assert unused == []
