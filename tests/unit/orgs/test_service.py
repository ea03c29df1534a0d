"""Orgs and changes of their settings."""

import asyncio
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from tallybook.core.errors import InvalidInput, NotFound
from tallybook.core.unit_of_work import Record, Transaction
from tallybook.orgs.errors import OrgExists
from tallybook.orgs.model import OrgSettings
from tallybook.orgs.service import OrgService
from tallybook.storage.sqlite.journal import SqliteJournal
from tallybook.storage.sqlite.orgs import SqliteOrgStore
from tests.admin_rooms import AdminRooms, open_rooms


@pytest.fixture
def rooms(tmp_path: Path) -> Iterator[AdminRooms]:
    with open_rooms(tmp_path) as opened:
        opened.add_org("acme")
        yield opened


def change(rooms: AdminRooms, values: Record, org_id: str = "acme") -> OrgSettings:
    return rooms.runner.run(rooms.orgs.change_settings(org_id, values, actor="key_1"))


def test_the_default_org_is_made_once(rooms: AdminRooms) -> None:
    rooms.runner.run(rooms.orgs.ensure_default())
    assert [entry for entry in rooms.journal() if entry[0] == "default"] == [
        ("default", "server", "org.created", "default")
    ]


def test_an_org_exists_once_it_is_made(rooms: AdminRooms) -> None:
    assert not rooms.orgs.exists("late")
    rooms.add_org("late")
    assert rooms.orgs.exists("late")
    with pytest.raises(OrgExists):
        rooms.add_org("late")


@pytest.mark.parametrize("org_id", ["", "a b", "a/b", "ü", "a\n", "x" * 256, "a?", "*"])
def test_an_id_has_plain_characters(rooms: AdminRooms, org_id: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        rooms.add_org(org_id)
    assert refusal.value.faults[0].loc == ("body", "id")


@pytest.mark.parametrize("org_id", ["a", "A.b_c:d-9", "x" * 255, "."])
def test_ids_that_may_be(rooms: AdminRooms, org_id: str) -> None:
    rooms.add_org(org_id)
    assert rooms.orgs.get(org_id).id == org_id


def test_a_change_touches_what_it_names_and_its_org(rooms: AdminRooms) -> None:
    changed = change(rooms, {"reservation_seconds": 60, "credits_per_usd": "12.5"})
    assert rooms.orgs.settings_of("acme") == changed
    assert changed == OrgSettings(reservation_seconds=60, credits_per_usd=Decimal("12.5"))
    assert rooms.orgs.settings_of("default") == OrgSettings()


def test_null_resets_to_the_default(rooms: AdminRooms) -> None:
    change(rooms, {"reservation_seconds": 60, "overrun": "held"})
    assert change(rooms, {"reservation_seconds": None}).reservation_seconds == 900
    assert rooms.orgs.settings_of("acme").overrun == "held"


def test_every_fault_is_listed_and_nothing_changes(rooms: AdminRooms) -> None:
    with pytest.raises(InvalidInput) as refusal:
        change(rooms, {"overrun": "held", "store_messages": 1, "nonsense": 1, "markup_percent": "x"})
    names = [fault.loc for fault in refusal.value.faults]
    assert names == [("body", "store_messages"), ("body", "nonsense"), ("body", "markup_percent")]
    assert rooms.orgs.settings_of("acme") == OrgSettings()


def test_unknown_orgs_have_no_settings(rooms: AdminRooms) -> None:
    with pytest.raises(NotFound):
        rooms.orgs.settings_of("unknown")
    with pytest.raises(NotFound):
        change(rooms, {"overrun": "held"}, org_id="unknown")


def test_changes_are_dated_and_journaled_and_others_are_not(rooms: AdminRooms) -> None:
    change(rooms, {"overrun": "held", "reservation_seconds": 60})
    rooms.clock.now += 7
    for _ in range(2):
        change(rooms, {"overrun": "available", "reservation_seconds": 60})
    facts = rooms.engine.read().execute("SELECT name, value, set_at, set_by FROM org_settings ORDER BY rowid")
    start = rooms.clock.now - 7
    assert facts.fetchall() == [
        ("overrun", '"held"', start, "key_1"),
        ("reservation_seconds", "60", start, "key_1"),
        ("overrun", '"available"', start + 7, "key_1"),
    ]
    journal = rooms.engine.read().execute(
        "SELECT before, after FROM journal WHERE action = 'org.settings_changed' ORDER BY id"
    )
    assert [(json.loads(before), json.loads(after)) for before, after in journal] == [
        ({"overrun": None, "reservation_seconds": None}, {"overrun": "held", "reservation_seconds": 60}),
        ({"overrun": "held"}, {"overrun": "available"}),
    ]


def test_a_caller_who_hangs_up_has_changed_the_settings_all_the_same(rooms: AdminRooms) -> None:
    assert rooms.orgs.settings_of("acme").reservation_seconds == 900

    async def hang_up() -> None:
        changing = asyncio.create_task(rooms.orgs.change_settings("acme", {"reservation_seconds": 60}, actor="key_1"))
        for _ in range(3):  # until the change is queued
            await asyncio.sleep(0)
        changing.cancel()
        await rooms.engine.write(lambda _: None)  # a later commit: the change is through

    rooms.runner.run(hang_up())
    assert rooms.orgs.settings_of("acme").reservation_seconds == 60


def test_settings_read_before_a_change_are_not_kept_after_it(rooms: AdminRooms) -> None:
    class Interrupted(SqliteOrgStore):
        """Between what it reads and its answer, somebody changes the settings."""

        def settings_in_force(self, org_id: str, transaction: Transaction | None = None) -> Record:
            read = super().settings_in_force(org_id, transaction)
            if transaction is None:
                rooms.runner.run(orgs.change_settings("acme", {"reservation_seconds": 60}, actor="key_1"))
            return read

    orgs = OrgService(Interrupted(rooms.engine), rooms.engine, SqliteJournal(), rooms.clock)
    assert orgs.settings_of("acme").reservation_seconds == 900
    assert orgs.settings_of("acme").reservation_seconds == 60
