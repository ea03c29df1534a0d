"""Roles, scopes and callers."""

import dataclasses
import json

import pytest

from tallybook.auth.key import Caller, Key, Role, Scope

KEY = Key(
    id="key_1",
    org_id="acme",
    name="ci",
    role=Role.MEMBER,
    scopes=Role.MEMBER.scopes,
    hint="tb_12345",
    created_at_us=1,
)


def test_members_read_and_ingest_and_admins_do_everything() -> None:
    assert Role.MEMBER.scopes == {Scope.READ, Scope.INGEST}
    assert Role.ORG_ADMIN.scopes == Role.CLUSTER_ADMIN.scopes == set(Scope)


def test_roles_are_ordered() -> None:
    assert Role.MEMBER.rank < Role.ORG_ADMIN.rank < Role.CLUSTER_ADMIN.rank


@pytest.mark.parametrize(
    ("role", "scopes", "user_id", "may"),
    [
        (Role.MEMBER, {Scope.INGEST}, None, True),
        (Role.MEMBER, {Scope.INGEST}, "ana", False),
        (Role.MEMBER, {Scope.READ}, None, False),
        (Role.ORG_ADMIN, {Scope.INGEST}, "ana", True),
        (Role.CLUSTER_ADMIN, {Scope.INGEST}, None, True),
    ],
)
def test_who_may_name_others(role: Role, scopes: set[Scope], user_id: str | None, may: bool) -> None:
    key = dataclasses.replace(KEY, role=role, scopes=frozenset(scopes), user_id=user_id)
    assert Caller(key, key.org_id).may_name_others is may


@pytest.mark.parametrize(
    ("role", "org_admin", "cluster_admin"),
    [(Role.MEMBER, False, False), (Role.ORG_ADMIN, True, False), (Role.CLUSTER_ADMIN, True, True)],
)
def test_how_far_a_caller_reaches(role: Role, org_admin: bool, cluster_admin: bool) -> None:
    caller = Caller(dataclasses.replace(KEY, role=role), "acme")
    assert (caller.is_org_admin, caller.is_cluster_admin) == (org_admin, cluster_admin)


def test_a_key_survives_being_a_record() -> None:
    key = dataclasses.replace(KEY, scopes=frozenset(Scope), user_id="ana", expires_at_us=5, bootstrap=True)
    assert Key.from_record(json.loads(json.dumps(key.to_record()))) == key


def test_a_key_expires_at_its_instant() -> None:
    key = dataclasses.replace(KEY, expires_at_us=10)
    assert [key.is_expired(now_us) for now_us in (9, 10, 11)] == [False, True, True]
    assert not KEY.is_expired(2**60)
