"""What every `OrgStore` must do. An engine subclasses it and has a fixture `stores` of an empty database."""

from tallybook.core.unit_of_work import Record, Transaction
from tallybook.orgs.model import Org
from tests.storage.suites.stores import Stores


def add(stores: Stores, *org_ids: str) -> None:
    def effect(transaction: Transaction) -> Record:
        for org_id in org_ids:
            stores.orgs.add(transaction, Org(org_id, f"The org {org_id}", 1))
        return {}

    stores.commit(effect)


def set_settings(stores: Stores, org_id: str, values: Record, set_at_us: int = 1) -> None:
    def effect(transaction: Transaction) -> Record:
        stores.orgs.append_settings(transaction, org_id, values, set_at_us=set_at_us, set_by="key_1")
        return {}

    stores.commit(effect)


class OrgStoreSuite:
    def test_an_org_is_found_as_it_was_added(self, stores: Stores) -> None:
        add(stores, "acme")
        assert stores.orgs.find("acme") == Org("acme", "The org acme", 1)
        assert stores.orgs.find("Acme") is None

    def test_a_walk_meets_every_org_once_by_id(self, stores: Stores) -> None:
        ids = ["b", "a", "Z", "a:1", "a.1", "10", "9"]
        add(stores, *ids)
        walked: list[str] = []
        while page := stores.orgs.list_orgs(after=walked[-1] if walked else "", limit=3):
            walked += [org.id for org in page]
        assert walked == sorted(ids)

    def test_nothing_is_in_force_before_it_is_set(self, stores: Stores) -> None:
        add(stores, "acme")
        assert stores.orgs.settings_in_force("acme") == {}

    def test_the_newest_fact_of_each_setting_is_in_force(self, stores: Stores) -> None:
        add(stores, "acme", "other")
        set_settings(stores, "acme", {"text": "a", "whole": 1, "flag": True})
        set_settings(stores, "acme", {"text": "b", "whole": None})
        set_settings(stores, "other", {"text": "c"})
        assert stores.orgs.settings_in_force("acme") == {"text": "b", "whole": None, "flag": True}
        assert stores.orgs.settings_in_force("other") == {"text": "c"}

    def test_the_later_commit_wins_even_if_the_clock_went_back(self, stores: Stores) -> None:
        add(stores, "acme")
        set_settings(stores, "acme", {"text": "first"}, set_at_us=100)
        set_settings(stores, "acme", {"text": "second"}, set_at_us=50)
        assert stores.orgs.settings_in_force("acme") == {"text": "second"}

    def test_a_transaction_sees_its_own_changes_and_readers_only_commits(self, stores: Stores) -> None:
        seen: list[object] = []

        def effect(transaction: Transaction) -> Record:
            stores.orgs.add(transaction, Org("acme", "Acme", 1))
            stores.orgs.append_settings(transaction, "acme", {"a": 1}, set_at_us=1, set_by="key_1")
            seen.append(stores.orgs.find("acme", transaction))
            seen.append(stores.orgs.settings_in_force("acme", transaction))
            seen.append(stores.orgs.find("acme"))
            seen.append(stores.orgs.settings_in_force("acme"))
            return {}

        stores.commit(effect)
        assert seen == [Org("acme", "Acme", 1), {"a": 1}, None, {}]
