"""Flags that take several `name=value` words."""

import pytest

from tallybook.cli.pairs import one_flag_per_pair


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("--set a=1 b=2 FILE", "--set a=1 --set b=2 FILE"),
        ("FILE --map a=x --set b=2 c=3", "FILE --map a=x --set b=2 --set c=3"),
        ("--set=a=1 b=2", "--set=a=1 --set b=2"),
        ("--set a=1 --dry-run b=2", "--set a=1 --dry-run b=2"),
        ("--set a=1 -- b=2", "--set a=1 -- b=2"),
        ("--set FILE a=1", "--set FILE --set a=1"),
        ("--set a=--map b=2", "--set a=--map --set b=2"),
        ("--source a=1 b=2", "--source a=1 b=2"),
    ],
)
def test_each_pair_gets_its_flag(typed: str, meant: str) -> None:
    assert one_flag_per_pair(typed.split(), ("--map", "--set")) == meant.split()
