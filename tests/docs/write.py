"""Writes the generated parts of the documentation: `python -m tests.docs.write`."""

from tests.docs import examples
from tests.docs.generated import cli_page, settings_page
from tests.docs.pages import ROOT


def main() -> None:
    settings = ROOT / "docs" / "settings.md"
    settings.write_text(settings_page(settings.read_text()))
    (ROOT / "docs" / "reference" / "cli.md").write_text(cli_page())
    examples.main()


if __name__ == "__main__":
    main()
