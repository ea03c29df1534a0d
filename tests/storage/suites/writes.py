"""What every `Writes` must do. An engine subclasses it and has a fixture `stores` of an empty database."""

import asyncio
import dataclasses
from collections.abc import Callable

import pytest

from tallybook.core.errors import Conflict, Insufficient, NotFound
from tallybook.core.unit_of_work import Record, Repeat, RepeatedWithOtherBody, Transaction
from tallybook.orgs.errors import OrgExists
from tallybook.orgs.model import Org
from tests.storage.suites.stores import Stores

REPEAT = Repeat("acme", "ana", "POST", "/v1/orgs", "once", Repeat.hash_of(b"body"))


def adding(stores: Stores, org_id: str, error: Exception | None = None) -> Callable[[Transaction], Record]:
    """An effect that adds an org, then raises `error` if there is one."""

    def effect(transaction: Transaction) -> Record:
        if stores.orgs.find(org_id, transaction) is not None:
            raise OrgExists(org_id)
        stores.orgs.add(transaction, Org(org_id, org_id, 1))
        if error is not None:
            raise error
        return {"v": 1, "id": org_id}

    return effect


class WritesSuite:
    def test_an_effect_is_committed_when_it_is_answered(self, stores: Stores) -> None:
        assert stores.commit(adding(stores, "a")) == {"v": 1, "id": "a"}
        assert stores.orgs.find("a") is not None

    def test_a_repeat_is_answered_alike_and_runs_nothing(self, stores: Stores) -> None:
        assert stores.commit(adding(stores, "a"), REPEAT) == stores.commit(adding(stores, "b"), REPEAT)
        assert stores.orgs.find("b") is None

    @pytest.mark.parametrize("part", ["org_id", "caller", "method", "path", "key"])
    def test_a_repeat_is_the_same_only_in_every_part(self, stores: Stores, part: str) -> None:
        stores.commit(adding(stores, "a"), REPEAT)
        other: Repeat = dataclasses.replace(REPEAT, **{part: "other"})  # type: ignore[arg-type]
        assert stores.commit(adding(stores, "b"), other) == {"v": 1, "id": "b"}

    def test_another_body_under_the_same_key_is_refused(self, stores: Stores) -> None:
        stores.commit(adding(stores, "a"), REPEAT)
        with pytest.raises(RepeatedWithOtherBody):
            stores.commit(adding(stores, "b"), dataclasses.replace(REPEAT, body_hash=Repeat.hash_of(b"other")))
        assert stores.orgs.find("b") is None

    def test_a_conflict_is_remembered_and_its_changes_are_not(self, stores: Stores) -> None:
        for _ in range(2):
            with pytest.raises(Conflict, match="exists already") as refusal:
                stores.commit(adding(stores, "a", OrgExists("a")), REPEAT)
            assert refusal.value.code == "org_exists"
        assert stores.orgs.find("a") is None

    def test_a_refusal_is_given_again_in_full(self, stores: Stores) -> None:
        details: dict[str, str | int | None] = {"required_micro": 5, "status": "pending", "actual_micro": None}

        def refused(transaction: Transaction) -> Record:
            raise Insufficient("not enough", details)

        for _ in range(2):
            with pytest.raises(Insufficient) as refusal:
                stores.commit(refused, REPEAT)
            assert (refusal.value.code, str(refusal.value)) == ("insufficient", "not enough")
            assert refusal.value.details == details

    def test_any_other_error_leaves_no_trace(self, stores: Stores) -> None:
        with pytest.raises(NotFound):
            stores.commit(adding(stores, "a", NotFound("gone")), REPEAT)
        assert stores.commit(adding(stores, "a"), REPEAT) == {"v": 1, "id": "a"}

    def test_many_at_once_under_one_key_have_one_effect(self, stores: Stores) -> None:
        async def all_at_once() -> list[Record]:
            return await asyncio.gather(*(stores.writes.once(REPEAT, adding(stores, "a")) for _ in range(50)))

        assert asyncio.run(all_at_once()) == [{"v": 1, "id": "a"}] * 50

    def test_a_failing_effect_does_not_harm_those_beside_it(self, stores: Stores) -> None:
        effects = [adding(stores, f"org{n}", NotFound("gone") if n % 3 == 0 else None) for n in range(9)]

        async def all_at_once() -> list[Record | BaseException]:
            return await asyncio.gather(
                *(stores.writes.once(None, effect) for effect in effects), return_exceptions=True
            )

        answers = asyncio.run(all_at_once())
        assert [isinstance(answer, NotFound) for answer in answers] == [n % 3 == 0 for n in range(9)]
        assert [org.id for org in stores.orgs.list_orgs(after="", limit=99)] == [f"org{n}" for n in range(9) if n % 3]
