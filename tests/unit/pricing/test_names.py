"""Whom names mean, rule by rule."""

import pytest

from tallybook.pricing.catalogue import names as catalogue_names
from tallybook.pricing.catalogue.names import ModelNames, Named, Names, ProviderNames, Rule, fitting_part, with_former

SONNET = Rule("any", rules=(Rule("equals", "Sonnet"), Rule("prefix", "sonnet-4"), Rule("regex", r"^sonnet-\d$")))


@pytest.mark.parametrize(
    ("rule", "fitting", "others"),
    [
        (Rule("equals", "GPT-4o"), ["gpt-4o"], ["gpt-4o-mini", "my-gpt-4o", ""]),
        (Rule("prefix", "GPT-"), ["gpt-", "gpt-4o"], ["my-gpt-4o", "gpt"]),
        (Rule("suffix", "-Mini"), ["gpt-4o-mini", "-mini"], ["gpt-4o-mini-tts"]),
        (Rule("contains", "Claude"), ["claude", "eu.claude-3"], ["clau-de"]),
        (Rule("regex", r"^o[134]"), ["o1", "o3-mini"], ["o2", "gpt-o1"]),
        (Rule("regex", r"^(?!.*-tts(?:$|-))"), ["flash", "flash-ttsx"], ["flash-tts", "flash-tts-1"]),
        (SONNET, ["sonnet", "sonnet-4-5", "sonnet-5"], ["sonnet-3-5"]),
        (Rule("all", rules=(Rule("prefix", "a"), Rule("suffix", "z"))), ["az", "a-z"], ["a", "z", "za"]),
    ],
    ids=str,
)
def test_rules(rule: Rule, fitting: list[str], others: list[str]) -> None:
    test = catalogue_names.test_of(rule)
    assert [name for name in [*fitting, *others] if test(name)] == fitting


@pytest.mark.parametrize(
    ("name", "part"),
    [("sonnet", "equals 'Sonnet'"), ("sonnet-4-5", "prefix 'sonnet-4'"), ("sonnet-5", r"regex '^sonnet-\\d$'")],
)
def test_the_part_that_fits_is_told(name: str, part: str) -> None:
    assert str(fitting_part(SONNET, name)) == part


def model(name: str, *more: Rule) -> ModelNames:
    return ModelNames(name, Rule("any", rules=(Rule("equals", name), *more)))


MAKER = ProviderNames(
    "maker",
    Rule("contains", "make"),
    Rule("prefix", "model-"),
    (),
    (model("model-1"), model("model-1-2026-04-01"), model("model-2", Rule("prefix", "model-")), model("model-3")),
)
SHOP = ProviderNames("shop", None, None, ("maker", "gone"), (model("model-1", Rule("prefix", "own-")),))
TAKER = ProviderNames("maker-2", None, Rule("contains", "1"), (), (model("model-1"),))
NAMES = Names([MAKER, SHOP, TAKER])


@pytest.mark.parametrize(
    ("word", "provider_id"),
    [
        ("maker", "maker"),
        ("shop", "shop"),
        (" shop ", "shop"),
        ("themakers", "maker"),
        ("maker-2", "maker-2"),  # its own id comes before the rule of another
        ("shops", None),
        ("", None),
    ],
)
def test_providers(word: str, provider_id: str | None) -> None:
    assert NAMES.provider(word) == provider_id


@pytest.mark.parametrize(
    ("name", "provider_id"), [("model-1", "maker"), ("my-1", "maker-2"), ("model", None), ("", None)]
)
def test_the_first_to_claim_a_model_made_it(name: str, provider_id: str | None) -> None:
    assert NAMES.claimant(name) == provider_id


@pytest.mark.parametrize(
    ("seller", "name", "meant"),
    [
        ("maker", "model-1", ("maker", "model-1", False)),
        ("maker", "model-3", ("maker", "model-2", False)),  # the first model whose rule fits
        ("maker", "other", None),
        ("shop", "model-1", ("shop", "model-1", False)),  # its own before those it resells
        ("shop", "own-make", ("shop", "model-1", False)),
        ("shop", "model-2", ("maker", "model-2", True)),
        ("shop", "other", None),
    ],
)
def test_models(seller: str, name: str, meant: tuple[str, str, bool] | None) -> None:
    assert where(NAMES.model(seller, name)) == meant


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("dated-2026-04-01", "dated-2026-04-01"),
        ("dated-20260401", "dated-2026-04-01"),
        ("dated-20260401:free", "dated-2026-04-01:free"),
        ("whole-20260401", "whole-20260401"),  # as it is written, if it is known so
        ("dated-20260231", None),
        ("dated-19260401", None),
        ("dated20260401", None),
        ("dated-202604011", None),
    ],
)
def test_dates_written_together(name: str, meant: str | None) -> None:
    models = (model("dated-2026-04-01"), model("dated-2026-04-01:free"), model("whole-20260401"))
    found = Names([ProviderNames("maker", None, None, (), models)]).model("maker", name)
    assert (None if found is None else found.model) == meant


def test_former_names_stay_known_behind_the_newer_ones() -> None:
    newer = [ProviderNames("maker", None, None, (), (model("model-4", Rule("equals", "model-1")),))]
    names = Names(with_former(newer, [MAKER, SHOP]))
    assert where(names.model("maker", "model-1")) == ("maker", "model-4", False)
    assert where(names.model("maker", "model-1-2026-04-01")) == ("maker", "model-1-2026-04-01", False)
    assert where(names.model("shop", "own-1")) == ("shop", "model-1", False)
    assert names.provider("themakers") is None


def where(named: Named | None) -> tuple[str, str, bool] | None:
    return None if named is None else (named.provider, named.model, named.resold)
