"""LiteLLM's list beside ours: every difference of the most used models is decided, and every other one counted."""

import gzip
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from tallybook.catalogues.installed import read_lists
from tallybook.catalogues.litellm import read_litellm
from tallybook.core.time_window import parse_instant
from tallybook.pricing.book import PriceBook
from tallybook.pricing.comparison import Claim, Judged, Verdict, compare
from tallybook.pricing.price import NewPrice, Origin, Price
from tests.differential.litellm_holes import KNOWN, WITHOUT_CATALOGUE

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "data"
DECISIONS = (ROOT / "docs" / "decisions" / "0017-third-opinion.md").read_text()
AT_US = parse_instant("2026-11-27T15:00:00Z")
MOST_USED = [
    line.strip()
    for line in (DATA / "most_used_models.txt").read_text().splitlines()
    if line.strip() and not line.startswith("#")
]


@cache
def judged() -> Sequence[Judged]:
    """Every claim of the list, judged by the prices that are installed."""
    lists = read_lists()
    prices = [*_recorded(Origin.OVERLAY, lists.overlay), *_recorded(Origin.CATALOGUE, lists.catalogue.prices)]
    book = PriceBook(lambda owner: prices if owner is None else [], lambda: lists.catalogue.providers)

    def price_of(claim: Claim) -> Price | None:
        return book.price(
            "acme", provider=claim.provider, model=claim.model, mode=claim.mode, at_us=AT_US, told=claim.said
        )

    body = gzip.decompress((DATA / "litellm_prices_1_106_2.json.gz").read_bytes())
    return compare(read_litellm(body).claims, price_of)


def _recorded(origin: Origin, prices: Sequence[NewPrice]) -> Iterator[Price]:
    for number, price in enumerate(prices):
        yield Price(**vars(price), id=f"price_{origin}_{number}", org_id=None, origin=origin, recorded_at_us=0)


def differences() -> list[Judged]:
    return [each for each in judged() if each.verdict is not Verdict.SAME]


def test_the_most_used_models_are_forty_and_in_the_list() -> None:
    assert len(set(MOST_USED)) == 40
    assert set(MOST_USED) <= {each.claim.entry for each in judged()}


def test_each_of_their_differences_is_decided() -> None:
    found = {(each.claim.entry, each.claim.field) for each in differences() if each.claim.entry in MOST_USED}
    rows = re.findall(r"^\| `(.+?)` \| `(.+?)` \| \S+ \| \S+ \| (?:ours|listed): .{20,} \|$", DECISIONS, re.MULTILINE)
    assert len(rows) == len(set(rows))
    assert set(rows) == found


def test_all_others_are_counted_by_provider_with_their_reason() -> None:
    counts = Counter((each.claim.provider, each.verdict.value) for each in differences())
    known = {key: count for key, (count, _) in KNOWN.items()}
    rest: Counter[str] = Counter()
    for (provider, verdict), count in counts.items():
        if (provider, verdict) not in known:
            rest[provider] += count
    assert {key: counts[key] for key in known} == known
    assert dict(rest) == dict(WITHOUT_CATALOGUE)
    assert all(len(reason) > 10 for _, reason in KNOWN.values())


def test_the_decisions_tell_the_counts() -> None:
    counts = Counter(each.verdict for each in judged())
    told = {int(number.replace(",", "")) for number in re.findall(r"\d[\d,]*", DECISIONS)}
    assert {*counts.values(), len(judged())} <= told


def test_a_difference_more_is_noticed() -> None:
    """The test above would fail: no decision stands for a model that is not in the list of the most used."""
    others = {each.claim.entry for each in differences()} - set(MOST_USED)
    assert others
    assert not others & set(re.findall(r"^\| `(.+?)` \|", DECISIONS, re.MULTILINE))
