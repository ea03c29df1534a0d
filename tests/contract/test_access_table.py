"""Every route × role × scope on the whole app: who gets through is what `ACCESS` in `http/access.py` says."""

import asyncio
import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from tallybook.auth.key import Role, Scope
from tallybook.data_folder import open_data_folder
from tallybook.http.access import ACCESS, Access
from tallybook.settings import Settings
from tallybook.wiring import Tallybook, build
from tests.admin_rooms import ADMIN_KEY, AppClient

Route = tuple[str, str]

# The table once more, from the other side: who may call what. A change of rights must be made in both places.
PUBLIC = {
    "GET /healthz",
    "GET /readyz",
    "GET /metrics",
    "GET /openapi.json",
    "GET /",
    "GET /docs",
    "GET /docs/{name}",
}
ANY_KEY = {"GET /v1/orgs"}
READERS = {
    "GET /usage",
    "GET /usage/user/{user_id}",
    "GET /usage/{usage_id}",
    "GET /v1/events",
    "GET /v1/events/export",
    "GET /v1/events/{uid}",
    "GET /v1/events/{uid}/explain",
    "GET /v1/usage/query",
    "GET /v1/prices",
    "GET /v1/prices/resolve",
    "POST /v1/prices/compare",
    "GET /api/v1/llm/usage/completions",
    "GET /api/v1/llm/usage/responses",
    "GET /api/v1/llm/usage/conversations",
    "GET /api/v1/llm/usage/embeddings",
    "GET /api/v1/llm/usage/extract",
    "GET /api/v1/llm/usage/classify",
    "GET /api/v1/llm/usage/vector_stores",
    "GET /api/v1/llm/usage/files",
    "GET /api/v1/llm/usage/costs",
    "GET /api/v1/llm/usage/users/{userId}/stats",
    "GET /api/v1/llm/usage/users/{userId}/completions",
    "GET /api/v1/llm/usage/completions/{requestId}",
    "GET /api/v1/llm/feedback/completions/{id}",
    "GET /api/v1/llm/feedback/responses/{id}",
    "GET /api/v1/sandbox/usage",
}
OF_OTHERS = {"GET /usage/user/{user_id}"}
"""Where members who may call the route are refused for asking about somebody else."""
INGESTERS = {
    "POST /v1/events",
    "POST /usage",
    "POST /api/v1/llm/feedback/completions",
    "PUT /api/v1/llm/feedback/completions/{id}",
    "POST /api/v1/llm/feedback/responses",
    "PUT /api/v1/llm/feedback/responses/{id}",
}
CORRECTORS = {
    "POST /v1/events/{uid}/amend",
    "POST /v1/events/{uid}/void",
    "POST /v1/events/{uid}/restore",
    "POST /v1/events/reprice",
    "POST /v1/corrections/{correction_id}/undo",
    "PUT /usage/{usage_id}",
    "DELETE /usage/{usage_id}",
}
ORG_ADMINS = {
    "PUT /v1/prices",
    "POST /v1/keys",
    "GET /v1/audit",
    "GET /v1/keys",
    "DELETE /v1/keys/{key_id}",
    "GET /v1/orgs/{org}/settings",
    "PATCH /v1/orgs/{org}/settings",
}
CLUSTER_ADMINS = {"POST /v1/backup", "POST /v1/orgs", "POST /v1/prices/sync", "GET /v1/prices/diff"}
ORG_READERS = {
    "GET /v1/organization/usage/completions",
    "GET /v1/organization/usage/decisions",
    "GET /v1/organization/usage/embeddings",
    "GET /v1/organization/usage/moderations",
    "GET /v1/organization/usage/images",
    "GET /v1/organization/usage/audio_speeches",
    "GET /v1/organization/usage/audio_transcriptions",
    "GET /v1/organization/usage/vector_stores",
    "GET /v1/organization/usage/code_interpreter_sessions",
    "GET /v1/organization/usage/file_search_calls",
    "GET /v1/organization/usage/web_search_calls",
    "GET /v1/organization/costs",
    "GET /api/v1/budgeting/usage/costs",
}
LEDGER_KEEPERS = {
    "POST /v1/accounts/create",
    "GET /v1/accounts",
    "GET /v1/accounts/get",
    "GET /v1/accounts/balance",
    "POST /v1/accounts/credits/add",
    "POST /v1/accounts/credits/deduct",
    "GET /v1/accounts/plans",
    "POST /v1/accounts/plans/assign",
    "POST /v1/accounts/plans/unassign",
    "GET /v1/plans",
    "POST /v1/plans/create",
    "POST /v1/plans/archive",
    "GET /v1/transactions",
    "POST /v1/transactions/create",
    "POST /v1/reservations/create",
    "GET /v1/reservations",
    "POST /v1/reservations/confirm",
    "POST /v1/reservations/cancel",
    "POST /v1/reservations/extend",
    "GET /v1/usage",
    "POST /v1/usage/record",
    "GET /v1/models",
    "POST /v1/models/calculate",
    "GET /v1/verify",
}


def routes(app: FastAPI, raw: Mapping[str, Mapping[str, object]]) -> set[Route]:
    """Method and path template of every route, those beside the framework too. HEAD is answered as GET is."""
    framed = {
        (method, route.path_format or "") for route in iter_route_contexts(app.routes) for method in route.methods or ()
    }
    beside = {(method, path) for path, methods in raw.items() for method in methods}
    return {(method, path) for method, path in framed | beside if method != "HEAD"}


def named(rows: set[Route]) -> set[str]:
    return {f"{method} {path}" for method, path in rows}


def rows_where(scope: Scope | None, role: Role) -> set[str]:
    return named({route for route, access in ACCESS.items() if access == Access(scope, role)})


@pytest.fixture(scope="module")
def tallybook(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tallybook]:
    folder = tmp_path_factory.mktemp("access")
    settings: dict[str, Any] = {"data_dir": folder, "admin_key": ADMIN_KEY, "price_catalogue": False}
    built = build(open_data_folder(Settings(**settings)))
    yield built
    built.close()


@pytest.fixture(scope="module")
def call(tallybook: Tallybook) -> Iterator[AppClient]:
    with asyncio.Runner() as runner:
        yield AppClient(tallybook.app, runner)


@pytest.fixture(scope="module")
def app_routes(tallybook: Tallybook) -> list[Route]:
    gateway = tallybook.app
    assert isinstance(gateway._inner, FastAPI)
    return sorted(routes(gateway._inner, gateway._raw))


@dataclass(frozen=True)
class Holder:
    """A key for each role and each scope it may hold."""

    role: Role
    scope: Scope
    token: str


@pytest.fixture(scope="module")
def holders(call: AppClient) -> list[Holder]:
    pairs = [(role, scope) for role in Role for scope in sorted(role.scopes)]
    return [Holder(role, scope, new_key(call, role, scope)) for role, scope in pairs]


def new_key(call: AppClient, role: Role, scope: Scope) -> str:
    wanted = {"name": f"{role} {scope}", "role": role, "scopes": [scope]}
    text: str = call("POST", "/v1/keys", json=wanted).raise_for_status().json()["key"]
    return text


def path_of(template: str) -> str:
    return re.sub(
        r"\{\w+\}", "unknown", template.replace("{org}", "default").replace("/docs/{name}", "/docs/favicon.png")
    )


def test_the_table_says_what_was_meant() -> None:
    assert named({route for route, access in ACCESS.items() if access.public}) == PUBLIC
    assert rows_where(None, Role.MEMBER) == ANY_KEY
    assert rows_where(Scope.READ, Role.MEMBER) == READERS
    assert rows_where(Scope.READ, Role.ORG_ADMIN) == ORG_READERS
    assert rows_where(Scope.INGEST, Role.MEMBER) == INGESTERS
    assert rows_where(Scope.ADMIN, Role.ORG_ADMIN) == ORG_ADMINS
    assert rows_where(Scope.ADMIN, Role.CLUSTER_ADMIN) == CLUSTER_ADMINS
    assert rows_where(Scope.LEDGER, Role.ORG_ADMIN) == LEDGER_KEEPERS
    assert rows_where(Scope.CORRECT, Role.ORG_ADMIN) == CORRECTORS
    keyed = ANY_KEY | READERS | ORG_READERS | INGESTERS | CORRECTORS | ORG_ADMINS | CLUSTER_ADMINS | LEDGER_KEEPERS
    assert named(set(ACCESS)) == PUBLIC | keyed


def test_every_route_has_a_row_and_every_row_a_route(app_routes: list[Route]) -> None:
    assert set(app_routes) == set(ACCESS)


def test_nobody_passes_without_a_key_except_where_all_may(app_routes: list[Route], call: AppClient) -> None:
    for method, template in app_routes:
        status = call(method, path_of(template), key=None).status_code
        assert (status in (200, 307)) if ACCESS[method, template].public else (status == 401), (
            method,
            template,
            status,
        )


def test_a_key_passes_exactly_where_its_role_and_scope_do(
    app_routes: list[Route], holders: list[Holder], call: AppClient
) -> None:
    guarded = [route for route in app_routes if not ACCESS[route].public]
    for (method, template), holder in itertools.product(guarded, holders):
        access = ACCESS[method, template]
        passes = access.scope in (None, holder.scope) and holder.role.rank >= access.role.rank
        passes &= holder.role is not Role.MEMBER or f"{method} {template}" not in OF_OTHERS
        status = call(method, path_of(template), key=holder.token).status_code
        assert (status not in (401, 403)) if passes else (status == 403), (method, template, holder, status)


def test_a_route_without_a_row_is_noticed() -> None:
    app = FastAPI(openapi_url=None)
    app.add_api_route("/v1/forgotten/{id}", lambda: None, methods=["POST"])
    assert routes(app, {"/v1/raw": {"PUT": object()}}) - set(ACCESS) == {
        ("POST", "/v1/forgotten/{id}"),
        ("PUT", "/v1/raw"),
    }
