"""Who is admitted, and the life of keys."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tallybook.auth.errors import KeyFixedBySetting
from tallybook.auth.key import Caller, NewKey, Role, Scope
from tallybook.core.errors import Forbidden, InvalidInput, MalformedInput, NotFound, Unauthenticated
from tallybook.core.time_window import parse_instant
from tallybook.core.unit_of_work import Repeat
from tests.admin_rooms import ADMIN_KEY, AdminRooms, open_rooms


@pytest.fixture
def rooms(tmp_path: Path) -> Iterator[AdminRooms]:
    with open_rooms(tmp_path) as opened:
        opened.started()
        opened.add_org("acme")
        yield opened


def create(rooms: AdminRooms, caller: Caller, repeat: Repeat | None = None, **wanted: object) -> str:
    new = NewKey(**{"name": "test", "role": Role.MEMBER, **wanted})  # type: ignore[arg-type]
    return rooms.runner.run(rooms.auth.create_key(caller, new, repeat)).text


def revoke(rooms: AdminRooms, caller: Caller, token: str) -> int | None:
    key_id = rooms.auth.admit(token).key.id
    return rooms.runner.run(rooms.auth.revoke_key(caller, key_id)).revoked_at_us


class TestAdmission:
    def test_a_key_acts_in_its_own_org(self, rooms: AdminRooms) -> None:
        caller = rooms.auth.admit(rooms.add_key(Role.MEMBER, org_id="acme", user_id="ana"))
        assert (caller.org_id, caller.key.user_id, caller.on_behalf_of) == ("acme", "ana", None)

    @pytest.mark.parametrize("token", ["", "nonsense", "tb_" + "x" * 49, "\ufffd", "x" * 100_000])
    def test_unknown_keys_are_refused(self, rooms: AdminRooms, token: str) -> None:
        with pytest.raises(Unauthenticated):
            rooms.auth.admit(token)

    def test_a_key_is_refused_from_its_expiry_on_even_in_use(self, rooms: AdminRooms) -> None:
        token = rooms.add_key(Role.MEMBER, expires_at_us=rooms.clock.now + 10)
        rooms.clock.now += 9
        rooms.auth.admit(token)
        rooms.clock.now += 1
        with pytest.raises(Unauthenticated, match="expired"):
            rooms.auth.admit(token)

    def test_a_revoked_key_is_refused_at_once(self, rooms: AdminRooms) -> None:
        token, other = rooms.add_key(Role.MEMBER), rooms.add_key(Role.MEMBER)
        rooms.auth.admit(token)
        rooms.auth.admit(other)
        revoke(rooms, rooms.admin, token)
        with pytest.raises(Unauthenticated, match="revoked"):
            rooms.auth.admit(token)
        rooms.auth.admit(other)

    def test_more_keys_than_are_remembered_are_admitted_all_the_same(self, rooms: AdminRooms) -> None:
        rooms.auth._known_max = 2
        tokens = [rooms.add_key(Role.MEMBER, user_id=f"user{n}") for n in range(4)]
        for _ in range(2):
            assert [rooms.auth.admit(token).key.user_id for token in tokens] == [f"user{n}" for n in range(4)]
        assert len(rooms.auth._known) == 2

    @pytest.mark.parametrize("role", [Role.MEMBER, Role.ORG_ADMIN])
    def test_only_cluster_admins_act_in_other_orgs(self, rooms: AdminRooms, role: Role) -> None:
        token = rooms.add_key(role, org_id="acme")
        assert rooms.auth.admit(token, org_id="acme").org_id == "acme"
        for org_id in ("default", "unknown", ""):
            with pytest.raises(Forbidden):
                rooms.auth.admit(token, org_id=org_id)

    def test_a_cluster_admin_acts_in_any_org_there_is(self, rooms: AdminRooms) -> None:
        assert rooms.auth.admit(ADMIN_KEY, org_id="acme").org_id == "acme"
        with pytest.raises(NotFound):
            rooms.auth.admit(ADMIN_KEY, org_id="unknown")

    @pytest.mark.parametrize("end_user", ["a", "~ !", "x" * 150, "**"])
    def test_an_end_user_may_be_named(self, rooms: AdminRooms, end_user: str) -> None:
        assert rooms.auth.admit(ADMIN_KEY, on_behalf_of=end_user).on_behalf_of == end_user

    @pytest.mark.parametrize("end_user", ["", "*", "x" * 151, "ü", "a\tb", "a\n"])
    def test_an_end_user_has_a_plain_name(self, rooms: AdminRooms, end_user: str) -> None:
        with pytest.raises(MalformedInput):
            rooms.auth.admit(ADMIN_KEY, on_behalf_of=end_user)


class TestCreation:
    def test_a_key_has_the_scopes_of_its_role_unless_named(self, rooms: AdminRooms) -> None:
        for role in Role:
            assert rooms.auth.admit(create(rooms, rooms.admin, role=role)).key.scopes == role.scopes
        narrow = create(rooms, rooms.admin, role=Role.ORG_ADMIN, scopes=frozenset({Scope.LEDGER}))
        assert rooms.auth.admit(narrow).key.scopes == {Scope.LEDGER}

    @pytest.mark.parametrize("scope", [Scope.LEDGER, Scope.CORRECT, Scope.ADMIN])
    def test_members_hold_no_scope_beyond_their_role(self, rooms: AdminRooms, scope: Scope) -> None:
        with pytest.raises(InvalidInput) as refusal:
            create(rooms, rooms.admin, scopes=frozenset({Scope.READ, scope}))
        assert refusal.value.faults[0].loc == ("body", "scopes")

    def test_a_key_without_any_scope_is_refused(self, rooms: AdminRooms) -> None:
        with pytest.raises(InvalidInput):
            create(rooms, rooms.admin, scopes=frozenset())

    def test_nobody_gives_more_than_they_have(self, rooms: AdminRooms) -> None:
        org_admin = rooms.auth.admit(rooms.add_key(Role.ORG_ADMIN, Scope.ADMIN, Scope.READ))
        with pytest.raises(Forbidden, match="cluster_admin"):
            create(rooms, org_admin, role=Role.CLUSTER_ADMIN, scopes=frozenset({Scope.READ}))
        with pytest.raises(Forbidden, match="ingest"):
            create(rooms, org_admin)
        create(rooms, org_admin, scopes=frozenset({Scope.READ}))

    def test_only_cluster_admins_make_keys_of_other_orgs(self, rooms: AdminRooms) -> None:
        assert rooms.auth.admit(create(rooms, rooms.admin, org_id="acme")).org_id == "acme"
        with pytest.raises(NotFound):
            create(rooms, rooms.admin, org_id="unknown")
        org_admin = rooms.auth.admit(rooms.add_key(Role.ORG_ADMIN))
        with pytest.raises(Forbidden):
            create(rooms, org_admin, org_id="acme")
        create(rooms, org_admin, org_id="default")

    def test_a_key_is_made_in_the_org_its_maker_acts_in(self, rooms: AdminRooms) -> None:
        assert rooms.auth.admit(create(rooms, rooms.auth.admit(ADMIN_KEY, "acme"))).org_id == "acme"

    def test_an_expiry_lies_ahead_but_not_beyond_reason(self, rooms: AdminRooms) -> None:
        for instant in (rooms.clock.now, 0, parse_instant("2200-01-01T00:00:00Z")):
            with pytest.raises(InvalidInput) as refusal:
                create(rooms, rooms.admin, expires_at_us=instant)
            assert refusal.value.faults[0].loc == ("body", "expires_at")
        create(rooms, rooms.admin, expires_at_us=rooms.clock.now + 1)

    def test_a_repeat_gives_the_same_key_and_text(self, rooms: AdminRooms) -> None:
        repeat = Repeat("default", "admin", "POST", "/v1/keys", "once", b"hash")
        expiry = rooms.clock.now + 10
        first = create(rooms, rooms.admin, repeat, expires_at_us=expiry)
        rooms.clock.now = expiry
        assert create(rooms, rooms.admin, repeat, expires_at_us=expiry) == first
        assert len(rooms.auth.list_keys("default", before=None, limit=9)) == 2

    def test_nothing_stored_shows_a_text(self, rooms: AdminRooms, tmp_path: Path) -> None:
        repeat = Repeat("default", "admin", "POST", "/v1/keys", "once", b"hash")
        tokens = [ADMIN_KEY, rooms.add_key(Role.MEMBER), create(rooms, rooms.admin, repeat)]
        stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
        for token in tokens:
            assert token.encode() not in stored
            assert token[9:40].encode() not in stored

    def test_changes_are_journaled(self, rooms: AdminRooms) -> None:
        token = rooms.add_key(Role.MEMBER, org_id="acme")
        key_id = rooms.auth.admit(token).key.id
        revoke(rooms, rooms.auth.admit(ADMIN_KEY, "acme"), token)
        actor = rooms.admin.key.id
        assert rooms.journal()[-2:] == [
            ("acme", actor, "key.created", key_id),
            ("acme", actor, "key.revoked", key_id),
        ]


class TestRevocation:
    def test_revoking_again_changes_nothing(self, rooms: AdminRooms) -> None:
        key_id = rooms.auth.admit(rooms.add_key(Role.MEMBER)).key.id
        first = rooms.runner.run(rooms.auth.revoke_key(rooms.admin, key_id))
        rooms.clock.now += 5
        assert rooms.runner.run(rooms.auth.revoke_key(rooms.admin, key_id)) == first
        assert [entry[2] for entry in rooms.journal()].count("key.revoked") == 1

    def test_keys_of_another_org_are_not_found(self, rooms: AdminRooms) -> None:
        token = rooms.add_key(Role.MEMBER, org_id="acme")
        with pytest.raises(NotFound):
            revoke(rooms, rooms.admin, token)
        rooms.auth.admit(token)

    def test_a_higher_role_is_out_of_reach(self, rooms: AdminRooms) -> None:
        org_admin = rooms.auth.admit(rooms.add_key(Role.ORG_ADMIN))
        with pytest.raises(Forbidden):
            revoke(rooms, org_admin, rooms.add_key(Role.CLUSTER_ADMIN))

    def test_a_caller_who_hangs_up_has_revoked_all_the_same(self, rooms: AdminRooms) -> None:
        token = rooms.add_key(Role.MEMBER)
        key_id = rooms.auth.admit(token).key.id

        async def hang_up() -> None:
            revoking = asyncio.create_task(rooms.auth.revoke_key(rooms.admin, key_id))
            for _ in range(3):  # until the revocation is queued
                await asyncio.sleep(0)
            revoking.cancel()
            await rooms.engine.write(lambda _: None)  # a later commit: the revocation is through

        rooms.runner.run(hang_up())
        with pytest.raises(Unauthenticated):
            rooms.auth.admit(token)


class TestBootstrap:
    @pytest.fixture
    def fresh(self, tmp_path: Path) -> Iterator[AdminRooms]:
        (tmp_path / "fresh").mkdir()
        with open_rooms(tmp_path / "fresh") as opened:
            yield opened

    def test_without_a_setting_one_key_is_made_once(self, fresh: AdminRooms) -> None:
        token = fresh.started(None)
        assert token is not None
        assert fresh.started(None) is None
        key = fresh.auth.admit(token).key
        assert (key.role, key.org_id, key.bootstrap) == (Role.CLUSTER_ADMIN, "default", True)

    def test_a_made_bootstrap_key_can_be_revoked_for_good(self, fresh: AdminRooms) -> None:
        token = fresh.started(None)
        assert token is not None
        assert revoke(fresh, fresh.auth.admit(token), token) is not None
        assert fresh.started(None) is None

    def test_a_setting_is_the_key_and_is_not_shown(self, fresh: AdminRooms) -> None:
        assert fresh.started("first-admin-key-of-all") is None
        assert fresh.auth.admit("first-admin-key-of-all").is_cluster_admin

    def test_a_changed_setting_replaces_the_old_key_and_back_again(self, fresh: AdminRooms) -> None:
        settings = ["first-admin-key-of-all", "other-admin-key-of-all"]
        for current, previous in [settings, settings[::-1], settings]:
            fresh.started(current)
            restarted = AdminRooms(fresh.engine, fresh.clock)
            assert restarted.auth.admit(current).is_cluster_admin
            with pytest.raises(Unauthenticated):
                restarted.auth.admit(previous)

    def test_a_setting_replaces_a_made_key(self, fresh: AdminRooms) -> None:
        token = fresh.started(None)
        assert token is not None
        fresh.started("first-admin-key-of-all")
        with pytest.raises(Unauthenticated):
            fresh.auth.admit(token)

    def test_an_unchanged_setting_changes_nothing(self, fresh: AdminRooms) -> None:
        fresh.started("first-admin-key-of-all")
        journal = fresh.journal()
        fresh.started("first-admin-key-of-all")
        assert fresh.journal() == journal

    def test_a_key_from_the_setting_is_not_revoked_but_replaced(self, fresh: AdminRooms) -> None:
        fresh.started("first-admin-key-of-all")
        with pytest.raises(KeyFixedBySetting):
            revoke(fresh, fresh.auth.admit("first-admin-key-of-all"), "first-admin-key-of-all")

    @pytest.mark.parametrize(
        "text", ["", "short", " blanks-around-the-key ", "line\nbreak-in-the-key", "tb_" + "x" * 49]
    )
    def test_what_cannot_be_a_key_is_refused(self, fresh: AdminRooms, text: str) -> None:
        with pytest.raises(InvalidInput, match="TALLYBOOK_ADMIN_KEY"):
            fresh.started(text)

    def test_the_text_of_another_key_is_refused(self, rooms: AdminRooms) -> None:
        with pytest.raises(InvalidInput, match="already"):
            rooms.started(rooms.add_key(Role.MEMBER))
