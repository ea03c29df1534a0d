"""An org of its own on a running server, with the clients that may look into it, for the tests of reading."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from tests.serving import ServerProcess


@dataclass(frozen=True)
class Org:
    """`cluster` is the bootstrap admin acting in the org; `ana` a member with that user; `device` one without any."""

    id: str
    cluster: httpx.Client
    admin: httpx.Client
    ana: httpx.Client
    device: httpx.Client
    keys: dict[str, str]

    def send(self, *events: dict[str, Any], by: httpx.Client | None = None) -> list[str]:
        """The uids of the events, which must be new."""
        answer = (by or self.cluster).post("/v1/events", json={"events": list(events)})
        assert answer.status_code == 200, answer.text
        assert answer.json()["inserted"] == len(events), answer.text
        return [result["uid"] for result in answer.json()["results"]]


@contextmanager
def org_on(server: ServerProcess, org_id: str) -> Iterator[Org]:
    with ExitStack() as clients:
        cluster = clients.enter_context(server.client())
        cluster.post("/v1/orgs", json={"id": org_id, "name": org_id}).raise_for_status()
        cluster.headers["X-Org-Id"] = org_id
        keys: dict[str, str] = {}

        def keyed(name: str, **wanted: Any) -> httpx.Client:
            answer = cluster.post("/v1/keys", json={"name": name, "role": "member", **wanted})
            keys[name] = answer.raise_for_status().json()["key"]
            return clients.enter_context(server.client(keys[name]))

        yield Org(
            org_id,
            cluster,
            keyed("admin", role="org_admin"),
            keyed("ana", user_id="ana"),
            keyed("device"),
            keys,
        )


def answered(client: httpx.Client, path: str, **query: Any) -> dict[str, Any]:
    answer = client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    body: dict[str, Any] = answer.json()
    return body


def refused(client: httpx.Client, path: str, status: int, **query: Any) -> dict[str, Any]:
    answer = client.get(path, params=query)
    assert answer.status_code == status, answer.text
    body: dict[str, Any] = answer.json()
    return body
