"""`python -m tallybook` is the `tallybook` command."""

from tallybook.cli.main import main

main()
