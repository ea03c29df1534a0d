"""Orgs and their settings, which are dated facts: the newest is in force. Changes are journaled."""

import asyncio
import re
import threading

from tallybook.core.clock import Clock
from tallybook.core.errors import Fault, InvalidInput, NotFound, invalid
from tallybook.core.unit_of_work import Journal, JournalEntry, Record, Repeat, Transaction, Writes
from tallybook.orgs.errors import OrgExists
from tallybook.orgs.model import DEFAULT_ORG, PARSERS, BadValue, Org, OrgSettings, plain_value
from tallybook.orgs.store import OrgStore

_ORG_ID = re.compile(r"[A-Za-z0-9._:-]{1,255}")
_SERVER = "server"


class OrgService:
    def __init__(self, store: OrgStore, writes: Writes, journal: Journal, clock: Clock) -> None:
        self._store = store
        self._writes = writes
        self._journal = journal
        self._clock = clock
        # Orgs are never removed, so one that was seen once needs no second look.
        self._seen: set[str] = set()
        # Settings are asked for with every reservation. What was read before a change must not be kept after it.
        self._settings: dict[str, OrgSettings] = {}
        self._settings_changes = 0
        self._keeping = threading.Lock()

    def exists(self, org_id: str) -> bool:
        """Cheap enough for every request."""
        if org_id not in self._seen and self._store.find(org_id) is not None:
            self._seen.add(org_id)
        return org_id in self._seen

    def get(self, org_id: str) -> Org:
        """Raises `NotFound`."""
        org = self._store.find(org_id)
        if org is None:
            raise NotFound("there is no such org")
        return org

    def list_orgs(self, *, after: str = "", limit: int) -> list[Org]:
        """At most `limit` orgs by rising id, from those after the id `after`."""
        return self._store.list_orgs(after=after, limit=limit)

    def settings_of(self, org_id: str) -> OrgSettings:
        """The settings in force; cheap enough for every request. Raises `NotFound`."""
        known = self._settings.get(org_id)
        if known is not None:
            return known
        changes = self._settings_changes
        self.get(org_id)
        settings = OrgSettings.from_record(self._store.settings_in_force(org_id))
        with self._keeping:
            if changes == self._settings_changes:
                self._settings[org_id] = settings
        return settings

    async def ensure_default(self) -> None:
        """Makes the org `default` unless it exists."""
        if not self.exists(DEFAULT_ORG):
            await self.create(DEFAULT_ORG, "Default", actor=_SERVER)

    async def create(self, org_id: str, name: str, *, actor: str, repeat: Repeat | None = None) -> Org:
        """Raises `InvalidInput` for an id that is not 1 to 255 of `A-Z a-z 0-9 . _ : -`, and `OrgExists`."""
        if not _ORG_ID.fullmatch(org_id):
            raise invalid("body", "id", msg="must be 1 to 255 of the characters A-Z a-z 0-9 . _ : -")

        def effect(transaction: Transaction) -> Record:
            if self._store.find(org_id, transaction) is not None:
                raise OrgExists(org_id)
            org = Org(org_id, name, self._clock.now_us())
            self._store.add(transaction, org)
            entry = JournalEntry(org_id, actor, "org.created", org_id, before=None, after=org.to_record())
            self._journal.append(transaction, entry, org.created_at_us)
            return {"v": 1, "org": org.to_record()}

        outcome = await self._writes.once(repeat, effect)
        return Org.from_record(outcome["org"])

    async def change_settings(
        self, org_id: str, values: Record, *, actor: str, repeat: Repeat | None = None
    ) -> OrgSettings:
        """Sets the named settings, None back to the default, and returns all that are then in force.

        Raises `NotFound`, and `InvalidInput` with every fault, having changed nothing.
        """
        self.get(org_id)
        wanted = _checked(values)

        def effect(transaction: Transaction) -> Record:
            now_us = self._clock.now_us()
            before = self._store.settings_in_force(org_id, transaction)
            changed = {name: value for name, value in wanted.items() if value != before.get(name)}
            if changed:
                self._store.append_settings(transaction, org_id, changed, set_at_us=now_us, set_by=actor)
                was = {name: before.get(name) for name in changed}
                entry = JournalEntry(org_id, actor, "org.settings_changed", org_id, before=was, after=changed)
                self._journal.append(transaction, entry, now_us)
            return {"v": 1, "settings": OrgSettings.from_record({**before, **changed}).to_record()}

        async def change_and_forget() -> OrgSettings:
            outcome = await self._writes.once(repeat, effect)
            with self._keeping:
                self._settings_changes += 1
                self._settings.pop(org_id, None)
            return OrgSettings.from_record(outcome["settings"])

        # Shielded: a caller who hangs up must not leave the settings from before in use.
        return await asyncio.shield(change_and_forget())


def _checked(values: Record) -> Record:
    """The values in their plain canonical form. Raises `InvalidInput` with every fault."""
    faults: list[Fault] = []
    checked: dict[str, str | int | bool | None] = {}
    for name, value in values.items():
        try:
            checked[name] = _plain(name, value)
        except BadValue as fault:
            faults.append(Fault(("body", name), str(fault)))
    if faults:
        raise InvalidInput(faults)
    return checked


def _plain(name: str, value: object) -> str | int | bool | None:
    if name not in PARSERS:
        raise BadValue(f"is no setting; there are: {', '.join(PARSERS)}")
    return None if value is None else plain_value(PARSERS[name](value))
