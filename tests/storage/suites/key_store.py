"""What every `KeyStore` must do. An engine subclasses it and has a fixture `stores` of an empty database."""

import dataclasses

import pytest

from tallybook.auth.key import Key, Role, Scope
from tallybook.core.unit_of_work import Record, Transaction
from tallybook.orgs.model import Org
from tests.storage.suites.stores import Stores


def key(number: int, **fields: object) -> Key:
    plain = Key(
        id=f"key_{number}",
        org_id="acme",
        name=f"key {number}",
        role=Role.MEMBER,
        scopes=frozenset({Scope.READ}),
        hint="tb_12345",
        created_at_us=number,
    )
    return dataclasses.replace(plain, **fields)  # type: ignore[arg-type]


FULL = key(
    7,
    role=Role.CLUSTER_ADMIN,
    scopes=frozenset(Scope),
    user_id="ana",
    project_id="p1",
    expires_at_us=2**53,
    revoked_at_us=9,
    bootstrap=True,
    name="naïve ☃",
)


def text_hash(of: Key) -> bytes:
    return of.id.encode().ljust(32, b".")


class KeyStoreSuite:
    @pytest.fixture(autouse=True)
    def two_orgs(self, stores: Stores) -> None:
        def effect(transaction: Transaction) -> Record:
            stores.orgs.add(transaction, Org("acme", "Acme", 0))
            stores.orgs.add(transaction, Org("other", "Other", 0))
            return {}

        stores.commit(effect)

    def add(self, stores: Stores, *keys: Key) -> None:
        def effect(transaction: Transaction) -> Record:
            for each in keys:
                stores.keys.add(transaction, each, text_hash(each))
            return {}

        stores.commit(effect)

    @pytest.mark.parametrize("stored", [key(1), FULL], ids=["least", "full"])
    def test_a_key_is_found_as_it_was_added(self, stores: Stores, stored: Key) -> None:
        self.add(stores, stored)
        assert stores.keys.find_by_hash(text_hash(stored)) == stored
        assert stores.keys.find("acme", stored.id) == stored

    def test_what_was_never_added_is_not_found(self, stores: Stores) -> None:
        assert stores.keys.find_by_hash(b"?" * 32) is None
        assert stores.keys.find("acme", "key_1") is None
        assert stores.keys.list_keys("acme", before=None, limit=10) == []
        assert stores.keys.list_bootstrap("acme") == []

    def test_the_keys_of_another_org_stay_there(self, stores: Stores) -> None:
        self.add(stores, key(1, bootstrap=True))
        assert stores.keys.find("other", "key_1") is None
        assert stores.keys.list_keys("other", before=None, limit=10) == []
        assert stores.keys.list_bootstrap("other") == []
        self.revoke(stores, "other", "key_1", 5)
        assert stores.keys.find("acme", "key_1") == key(1, bootstrap=True)

    def test_a_walk_meets_every_key_once_newest_first(self, stores: Stores) -> None:
        keys = [key(number, created_at_us=number // 2) for number in range(1, 8)]
        self.add(stores, *keys)
        walked: list[Key] = []
        before: tuple[int, str] | None = None
        while page := stores.keys.list_keys("acme", before=before, limit=2):
            walked += page
            before = (page[-1].created_at_us, page[-1].id)
        assert walked == sorted(keys, key=lambda each: (each.created_at_us, each.id), reverse=True)

    def test_bootstrap_keys_are_listed_newest_first(self, stores: Stores) -> None:
        self.add(stores, key(1, bootstrap=True), key(2), key(3, bootstrap=True, revoked_at_us=4))
        assert [each.id for each in stores.keys.list_bootstrap("acme")] == ["key_3", "key_1"]

    def test_a_key_is_revoked_and_reinstated(self, stores: Stores) -> None:
        self.add(stores, key(1), key(2))
        self.revoke(stores, "acme", "key_1", 5)
        assert stores.keys.find_by_hash(text_hash(key(1))) == key(1, revoked_at_us=5)
        assert stores.keys.find("acme", "key_2") == key(2)
        self.revoke(stores, "acme", "key_1", None)
        assert stores.keys.find("acme", "key_1") == key(1)

    def test_a_transaction_sees_its_own_changes_and_readers_only_commits(self, stores: Stores) -> None:
        seen: list[Key | None] = []

        def effect(transaction: Transaction) -> Record:
            stores.keys.add(transaction, FULL, text_hash(FULL))
            seen.append(stores.keys.find("acme", FULL.id, transaction))
            seen.extend(stores.keys.list_bootstrap("acme", transaction))
            seen.append(stores.keys.find("acme", FULL.id))
            return {}

        stores.commit(effect)
        assert seen == [FULL, FULL, None]

    def revoke(self, stores: Stores, org_id: str, key_id: str, at_us: int | None) -> None:
        def effect(transaction: Transaction) -> Record:
            stores.keys.set_revoked_at(transaction, org_id, key_id, at_us)
            return {}

        stores.commit(effect)
