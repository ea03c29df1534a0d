"""`name=value` words, and flags that take several of them: `--set model=gpt-4o user_id=ana`."""

import re
from typing import Any, NamedTuple

import click

_PAIR = re.compile(r"[A-Za-z_][^=]*=.*", re.DOTALL)


class Pair(NamedTuple):
    name: str
    value: str


class PairType(click.ParamType[Pair]):
    """Splits at the first `=`, so that a value may hold more of them."""

    name = "name=value"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Pair:
        if isinstance(value, Pair):
            return value
        name, equals, text = value.partition("=")
        if not (name and equals):
            self.fail(f"{value!r} is not of the form name=value", param, ctx)
        return Pair(name, text)


class PairsCommand(click.Command):
    """A command whose `pair_flags` take every `name=value` word after them, up to the first other word."""

    pair_flags: tuple[str, ...] = ()

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, one_flag_per_pair(args, self.pair_flags))


def one_flag_per_pair(args: list[str], flags: tuple[str, ...]) -> list[str]:
    """`--set a=1 b=2 FILE` as `--set a=1 --set b=2 FILE`; what follows `--` stays as it is."""
    spread: list[str] = []
    flag: str | None = None  # the flag that the next pair belongs to
    values_due = 0  # 1 right after a flag: its own value comes next, whatever it looks like
    for place, word in enumerate(args):
        if word == "--":
            return spread + args[place:]
        if values_due:
            values_due = 0
        elif word in flags:
            flag, values_due = word, 1
        elif word.startswith(tuple(f"{name}=" for name in flags)):
            flag = word.partition("=")[0]
        elif flag is not None and _PAIR.fullmatch(word):
            spread.append(flag)
        else:
            flag = None
        spread.append(word)
    return spread
