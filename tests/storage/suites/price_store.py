"""What every price store must do. Subclasses provide `prices` and `writes` as fixtures."""

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from tallybook.core.errors import Conflict, NotFound
from tallybook.core.unit_of_work import Record, Transaction, Writes
from tallybook.pricing.catalogue.names import ModelNames, ProviderNames, Rule
from tallybook.pricing.match import Match
from tallybook.pricing.price import DailyWindow, Mode, Origin, Price, Rate, Tier
from tallybook.pricing.store import PriceStore
from tests.unit.pricing.sheets import price, rates


class PriceStoreSuite:
    def test_a_price_comes_back_as_it_was(self, prices: PriceStore, writes: Writes) -> None:
        full = price(
            provider="OpenAI",
            model="gpt-4o.*",
            match=Match.REGEX,
            mode=Mode.PRIORITY,
            effective_from_us=1_700_000_000_000_001,
            effective_to_us=1_800_000_000_000_000,
            daily=DailyWindow(59_400_000_000, 1_800_000_000, (0, 6)),
            when=(("image_quality", "hd"), ("image_size", "1024x1024")),
            rates={
                "input_tokens": Rate(
                    Decimal("2.50"), 10**6, (Tier(200_000, Decimal("5.0")), Tier(2**53 - 1, Decimal(0)))
                ),
                "audio_seconds": Rate(Decimal("0.000000000000000001"), 3600, at_least=10),
                "images": Rate(Decimal("1234567890123456789012345678901234567.8"), 10**12),
            },
            source="https://openai.com/api/pricing, 2026-01-31",
        )
        append(writes, prices, full)
        found = prices.get("acme", full.id)
        assert found == full
        # Equal decimals may differ in their digits, and those are kept as well.
        assert found.to_record() == full.to_record()

    @pytest.mark.parametrize("origin", [Origin.OVERLAY, Origin.CATALOGUE])
    def test_a_price_of_every_org_comes_back_as_it_was(
        self, prices: PriceStore, writes: Writes, origin: Origin
    ) -> None:
        common = price(None, origin=origin, provider="openai")
        append(writes, prices, common)
        assert prices.list_in_force(None) == [common]
        assert inside(writes, lambda tx: prices.list_in_force(None, tx)) == [common]

    def test_an_unknown_price_is_not_found(self, prices: PriceStore) -> None:
        with pytest.raises(NotFound):
            prices.get("acme", "price_0")

    def test_orgs_see_only_their_own(self, prices: PriceStore, writes: Writes) -> None:
        ours, theirs, common = price("acme"), price("other"), price(None)
        append(writes, prices, ours, theirs, common)
        assert prices.list_in_force("acme") == [ours]
        assert prices.list_in_force(None) == [common]
        assert everything(prices, "acme") == [ours]
        with pytest.raises(NotFound):
            prices.get("acme", theirs.id)
        with pytest.raises(NotFound):
            prices.get("acme", common.id)
        assert inside(writes, lambda tx: prices.list_beginning("acme", 0, tx)) == [ours]
        assert not inside(writes, lambda tx: prices.is_superseded("acme", theirs.id, tx))

    def test_a_superseded_price_is_kept_but_not_in_force(self, prices: PriceStore, writes: Writes) -> None:
        wrong = price()
        right = price(supersedes=wrong.id)
        append(writes, prices, wrong, right)
        assert prices.list_in_force("acme") == [right]
        assert inside(writes, lambda tx: prices.list_beginning("acme", 0, tx)) == [right]
        assert inside(writes, lambda tx: prices.is_superseded("acme", wrong.id, tx))
        assert not inside(writes, lambda tx: prices.is_superseded("acme", right.id, tx))
        assert not inside(writes, lambda tx: prices.is_superseded("other", wrong.id, tx))
        assert prices.get("acme", wrong.id) == wrong
        assert everything(prices, "acme") == [right, wrong]

    def test_a_transaction_sees_what_it_has_done(self, prices: PriceStore, writes: Writes) -> None:
        old, new = price(), price(effective_from_us=7)

        def effect(transaction: Transaction) -> Any:
            prices.append(transaction, new)
            assert prices.get("acme", new.id, transaction) == new
            with pytest.raises(NotFound):
                prices.get("acme", new.id)
            return prices.list_beginning("acme", 7, transaction)

        append(writes, prices, old)
        assert inside(writes, effect) == [new]
        assert prices.get("acme", new.id) == new

    def test_a_refused_effect_leaves_nothing(self, prices: PriceStore, writes: Writes) -> None:
        refused = price()

        def effect(transaction: Transaction) -> Any:
            prices.append(transaction, refused)
            raise Conflict("refused")

        with pytest.raises(Conflict):
            inside(writes, effect)
        assert prices.list_in_force("acme") == []

    def test_pages_walk_newest_first_and_meet_each_price_once(self, prices: PriceStore, writes: Writes) -> None:
        # Neighbours share an instant, so that the id has to decide.
        known = [price(recorded_at_us=number // 3) for number in range(10)]
        append(writes, prices, *known)
        expected = sorted(known, key=lambda one: (one.recorded_at_us, one.id), reverse=True)
        walked: list[Price] = []
        while page := prices.list_prices(
            "acme",
            Origin.ORG,
            provider=None,
            model=None,
            before=(walked[-1].recorded_at_us, walked[-1].id) if walked else None,
            limit=4,
        ):
            walked += page
        assert walked == expected

    def test_lists_narrow_to_provider_and_model_in_any_case(self, prices: PriceStore, writes: Writes) -> None:
        plain, openai, mini = price(), price(provider="OpenAI"), price(provider="openai", model="gpt-4o-mini")
        append(writes, prices, plain, openai, mini)
        assert everything(prices, "acme", provider="openai") == [mini, openai]
        assert everything(prices, "acme", model="GPT-4o") == [openai, plain]
        assert everything(prices, "acme", provider="OPENAI", model="gpt-4o") == [openai]
        assert everything(prices, "acme", model="gpt") == []

    def test_lists_are_of_one_owner_and_origin(self, prices: PriceStore, writes: Writes) -> None:
        own, overlay = price(), price(None)
        old, new = (price(None, origin=Origin.CATALOGUE, provider="openai") for _ in range(2))
        append(writes, prices, own, old, overlay, new)
        assert everything(prices, "acme", Origin.OVERLAY) == []
        assert everything(prices, None, Origin.OVERLAY) == [overlay]
        assert everything(prices, None, Origin.CATALOGUE, provider="OpenAI") == [new, old]
        position = (new.recorded_at_us, new.id)
        rest = prices.list_prices(None, Origin.CATALOGUE, provider=None, model=None, before=position, limit=9)
        assert rest == [old]

    def test_the_newest_names_are_in_force(self, prices: PriceStore, writes: Writes) -> None:
        rule = Rule("any", rules=(Rule("equals", "gpt-4o"), Rule("all", rules=(Rule("regex", "^gpt(?!-3)"),))))
        first = ProviderNames("openai", None, Rule("prefix", "gpt"), ("azure",), (ModelNames("gpt-4o", rule),))
        second = ProviderNames("azure", Rule("contains", "azure"), None, (), ())
        assert (prices.catalogue_version(), list(prices.list_names())) == (None, [])

        def effect(transaction: Transaction) -> Any:
            prices.append_names(transaction, "list 1", [first], 7)
            # Clocks may fall back: what was written last counts.
            prices.append_names(transaction, "list 2", [first, second], 5)
            return prices.catalogue_version(transaction), list(prices.list_names(transaction))

        assert inside(writes, effect) == ("list 2", [first, second])
        assert (prices.catalogue_version(), list(prices.list_names())) == ("list 2", [first, second])

    def test_texts_are_not_sql(self, prices: PriceStore, writes: Writes) -> None:
        odd = price(model="'; DROP TABLE prices; --", provider='"', rates=rates(input="1"))
        append(writes, prices, odd)
        assert everything(prices, "acme", model=odd.model, provider='"') == [odd]


def append(writes: Writes, prices: PriceStore, *appended: Price) -> None:
    def effect(transaction: Transaction) -> None:
        for one in appended:
            prices.append(transaction, one)

    inside(writes, effect)


def inside(writes: Writes, work: Callable[[Transaction], Any]) -> Any:
    """What `work` answers inside a transaction of its own."""
    answers = []

    def effect(transaction: Transaction) -> Record:
        answers.append(work(transaction))
        return {}

    async def commit() -> None:
        await writes.once(None, effect)

    asyncio.run(commit())
    return answers[0]


def everything(
    prices: PriceStore,
    owner: str | None,
    origin: Origin = Origin.ORG,
    *,
    provider: str | None = None,
    model: str | None = None,
) -> list[Price]:
    return prices.list_prices(owner, origin, provider=provider, model=model, before=None, limit=100)
