"""The OpenAPI document held against a server: whatever is asked, no answer is a failure or of another form.

Every GET route is asked with values drawn from its parameters as they are described, a third of the time with one or
two that are nothing of the kind; what comes back, refusals too, must be of the status, content type and schema that the
document tells.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tallybook.http.access import ACCESS
from tests.conftest import LONG
from tests.contract.credit_calls import Ledger, done
from tests.contract.settlement_calls import confirm_with, record_prices
from tests.serving import ADMIN_KEY, ServerProcess

CASES = 50_000 if LONG else 2_000
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
PAGES = {"/", "/openapi.json", "/docs", "/docs/{name}"}
# Reads and compares the whole catalogue each time; it takes one parameter.
SLOW = {"/v1/prices/diff": 3}
ROUTES = [path for method, path in ACCESS if method == "GET" and path not in PAGES]
# Routes without parameters can only be asked once.
CASES_OF_ROUTE = CASES // (len(ROUTES) - 10)

ODD = (
    *("", " ", "x", "-1", "0", "1.5", "1e400", "9" * 40, "NaN", "null", "true", "[]", "{}", "a,b", ","),
    *("2026-13-01T00:00:00Z", "2026-01-01", "9999-12-31T23:59:59Z", "0000-00-00T00:00:00Z", "253402300800"),
    *("'; DROP TABLE facts; --", "%00", "\x00", "\ud7ff", "\U0001f600", "x" * 3_000, "../..", "Etc/Nowhere"),
)
"""Texts that no parameter is meant to be."""

asked: Counter[str] = Counter()


@pytest.fixture(scope="module")
def filled(server: ServerProcess) -> ServerProcess:
    """A server with something of everything, so that answers have rows."""
    with server.client() as client:
        record_prices(client)
        kinds = ["completion", "embedding", "image", "sandbox", "api_call", "web_search", "audio_transcription"]
        for number, kind in enumerate(kinds * 3):
            usage = {
                "input_tokens": 90,
                "cache_read_tokens": 40,
                "images": 1,
                "audio_seconds": 1.5,
                "peak_memory_mib": 7,
            }
            named = {"user_id": "ana", "session_id": "s", "project_id": "p", "metadata": {"a": 1}, "batch": True}
            fields = {"cost_usd": "0.25"} if number % 2 else {"model": "gpt-4o"}
            event = {"id": f"{number}", "kind": kind, "occurred_at": 10**9 + number * 10**7, "usage": usage}
            client.post("/v1/events", json=event | named | fields).raise_for_status()
        ledger = Ledger(client)
        account = ledger.account(100)
        done(confirm_with(ledger, ledger.hold(account, 5)))
        ledger.hold(account, 5)
    return server


@pytest.fixture(scope="module")
def document(filled: ServerProcess) -> Any:
    return schemathesis.openapi.from_url(f"{filled.url}/openapi.json")


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    with requests.Session() as kept:
        yield kept


@pytest.mark.parametrize("path", ROUTES)
def test_no_question_breaks_the_server_or_its_word(document: Any, session: requests.Session, path: str) -> None:
    operation = document[path]["GET"]

    @settings(
        max_examples=SLOW.get(path, CASES_OF_ROUTE),
        deadline=None,
        derandomize=not LONG,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(), odd=_oddities(operation))
    def ask(case: Case[Any], odd: Mapping[str, str]) -> None:
        asked[path] += 1
        case.query = {**(case.query or {}), **odd}
        answer = case.call(headers={"Authorization": f"Bearer {ADMIN_KEY}"}, session=session, timeout=60)
        case.validate_response(answer, checks=CHECKS)

    ask()


def _oddities(operation: Any) -> st.SearchStrategy[Mapping[str, str]]:
    """Mostly nothing, else a parameter or two that are not as described."""
    names = [parameter.name for parameter in operation.iter_parameters() if parameter.location == "query"]
    some = st.dictionaries(st.sampled_from(names), st.sampled_from(ODD), min_size=1, max_size=2) if names else None
    return st.just({}) if some is None else st.one_of(st.just({}), st.just({}), some)


def test_as_many_were_asked_as_is_said() -> None:
    assert set(asked) == set(ROUTES)
    assert asked.total() >= CASES
