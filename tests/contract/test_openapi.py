"""`/openapi.json` and `/docs`: the document is sound in itself and says what the app does."""

import asyncio
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema_rs
import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from tallybook import __version__
from tallybook.core.counters import COUNTERS
from tallybook.core.money import COUNTER_MAX
from tallybook.data_folder import open_data_folder
from tallybook.http import credits, mka1, native, openai, usage_log
from tallybook.http.access import ACCESS
from tallybook.http.dialect import Dialect
from tallybook.http.document import examples
from tallybook.http.native.event_wire import NDJSON, WireEvent
from tallybook.settings import Settings
from tallybook.wiring import Tallybook, build
from tests.admin_rooms import ADMIN_KEY, AppClient

METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}
# Pages about the interface are no part of it.
UNDOCUMENTED = {("GET", "/"), ("GET", "/openapi.json"), ("GET", "/docs"), ("GET", "/docs/{name}")}
TYPES = {"null", "boolean", "object", "array", "number", "string", "integer"}
COMPONENT = re.compile(r"[A-Za-z0-9._-]+")

Node = dict[str, Any]


FOREIGN = (mka1.DIALECT, openai.DIALECT, credits.DIALECT, usage_log.DIALECT)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tallybook]:
    folder = tmp_path_factory.mktemp("openapi")
    settings: dict[str, Any] = {"data_dir": folder, "admin_key": ADMIN_KEY, "price_catalogue": False}
    built = build(open_data_folder(Settings(**settings)))
    yield built
    built.close()


@pytest.fixture(scope="module")
def call(app: Tallybook) -> Iterator[AppClient]:
    with asyncio.Runner() as runner:
        yield AppClient(app.app, runner)


@pytest.fixture(scope="module")
def document(call: AppClient) -> Node:
    answer = call("GET", "/openapi.json", key=None)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    whole: Node = answer.json()
    return whole


@pytest.fixture(scope="module")
def operations(document: Node) -> dict[tuple[str, str], Node]:
    return {
        (method.upper(), path): operation
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    }


def nodes(value: Any) -> Iterator[Node]:
    """Every object in the document."""
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from nodes(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from nodes(inner)


def schemas_in(document: Node) -> Iterator[Node]:
    for node in nodes(document):
        if isinstance(node.get("schema"), dict):
            yield from inner_schemas(node["schema"])
    for schema in document["components"]["schemas"].values():
        yield from inner_schemas(schema)


def inner_schemas(schema: Node) -> Iterator[Node]:
    yield schema
    parts: list[Any] = [*schema.get("properties", {}).values(), *schema.get("prefixItems", ())]
    parts += [schema[name] for name in ("items", "additionalProperties") if isinstance(schema.get(name), dict)]
    parts += [part for name in ("anyOf", "allOf", "oneOf") for part in schema.get(name, ())]
    for part in parts:
        yield from inner_schemas(part)


def resolved(document: Node, schema: Node) -> Node:
    if "$ref" not in schema:
        return schema
    found: Node = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return found


def test_it_is_openapi_3_1(document: Node) -> None:
    assert document["openapi"].startswith("3.1.")
    assert set(document) <= {"openapi", "info", "paths", "components", "security", "tags", "servers"}
    assert document["info"]["title"] == "Tallybook"
    assert document["info"]["version"] == __version__
    for path, item in document["paths"].items():
        assert path.startswith("/")
        assert set(item) <= METHODS | {"parameters", "summary", "description"}
    for name in document["components"]["schemas"]:
        assert COMPONENT.fullmatch(name)
        assert "__" not in name, "two forms of one name"


def test_no_reference_dangles_and_no_schema_is_left_over(document: Node) -> None:
    references = Counter(node["$ref"] for node in nodes(document) if isinstance(node.get("$ref"), str))
    names = document["components"]["schemas"]
    assert {reference.rpartition("/")[2] for reference in references} == set(names)
    assert {reference.rpartition("/")[0] for reference in references} == {"#/components/schemas"}


def test_schemas_are_of_types_that_exist(document: Node) -> None:
    for schema in schemas_in(document):
        types = schema.get("type", [])
        assert set([types] if isinstance(types, str) else types) <= TYPES, schema
        assert "nullable" not in schema  # a word of 3.0
        assert set(schema.get("required", ())) <= set(schema.get("properties", {})), schema


def test_every_route_is_there_and_nothing_else(app: Tallybook, operations: Mapping[tuple[str, str], Node]) -> None:
    inner = app.app._inner
    assert isinstance(inner, FastAPI)
    framed = {
        (method, route.path_format or "")
        for route in iter_route_contexts(inner.routes)
        for method in route.methods or ()
    }
    raw = {(method, path) for path, methods in app.app._raw.items() for method in methods}
    served = {(method, path) for method, path in framed | raw if method != "HEAD"} - UNDOCUMENTED
    assert set(operations) == served
    assert ("POST", "/v1/events") in operations


def test_operation_ids_are_the_names_of_functions(operations: Mapping[tuple[str, str], Node]) -> None:
    ids = [operation["operationId"] for operation in operations.values()]
    assert len(set(ids)) == len(ids)
    assert all(name.isidentifier() and name.islower() for name in ids)
    assert {"ingest_events", "query_usage", "list_events", "create_key", "put_price"} <= set(ids)
    assert operations["GET", "/api/v1/llm/usage/completions"]["operationId"] == "llm_usage_completions"


def test_every_operation_says_what_it_is_for(operations: Mapping[tuple[str, str], Node]) -> None:
    for route, operation in operations.items():
        assert operation["summary"], route
        assert operation["tags"], route
        assert any(status.startswith("2") for status in operation["responses"]), route
        assert all(response["description"] for response in operation["responses"].values()), route


def test_parameters_are_sound(operations: Mapping[tuple[str, str], Node]) -> None:
    for (method, path), operation in operations.items():
        parameters = operation.get("parameters", [])
        places = [(parameter["in"], parameter["name"]) for parameter in parameters]
        assert len(set(places)) == len(places), (method, path)
        assert {place for place, _ in places} <= {"query", "path", "header"}
        assert {name for place, name in places if place == "path"} == set(re.findall(r"\{(\w+)\}", path))
        assert all(parameter["required"] for parameter in parameters if parameter["in"] == "path")
        assert all("schema" in parameter for parameter in parameters)


def claims(dialect: Dialect, path: str) -> bool:
    return path in dialect.paths or path.startswith(dialect.prefixes)


def test_every_operation_documents_the_refusals_of_its_dialect(
    document: Node, operations: Mapping[tuple[str, str], Node]
) -> None:
    for (method, path), operation in operations.items():
        own = [
            dialect
            for dialect in (mka1.DIALECT, openai.DIALECT, credits.DIALECT, usage_log.DIALECT)
            if claims(dialect, path)
        ]
        content = operation["responses"]["default"]["content"]
        (dialect,) = own or [native.DIALECT]
        assert set(content) == {dialect.error_type}, (method, path)
        assert resolved(document, content[dialect.error_type]["schema"]) == dialect.error_schema
        # The framework's own words for a fault are never sent.
        assert "422" not in operation["responses"]
    assert "HTTPValidationError" not in document["components"]["schemas"]


def test_every_body_has_an_example_of_its_form(document: Node, operations: Mapping[tuple[str, str], Node]) -> None:
    for route, operation in operations.items():
        answers = [answer for status, answer in operation["responses"].items() if status < "3" or status == "default"]
        for body in (operation.get("requestBody", {}), *answers):
            for kind in {"application/json", "application/problem+json"} & body.get("content", {}).keys():
                content = body["content"][kind]
                validator = jsonschema_rs.validator_for({**content["schema"], "components": document["components"]})
                assert [error.message for error in validator.iter_errors(content["example"])] == [], route


def test_no_example_is_left_over(operations: Mapping[tuple[str, str], Node]) -> None:
    assert set(examples()) <= {operation["operationId"] for operation in operations.values()}


def test_a_misspelt_parameter_is_refused_wherever_there_are_any(
    call: AppClient, operations: Mapping[tuple[str, str], Node]
) -> None:
    for method, path in native_with_query(operations):
        answer = call(method, f"{path}?misspelt=1")
        assert answer.status_code == 422, (method, path)
        unknown = {"loc": ["query", "misspelt"], "msg": "is not known here"}
        assert unknown in answer.json()["errors"], (method, path)


def test_native_parameters_of_a_query_are_described(operations: Mapping[tuple[str, str], Node]) -> None:
    silent = [
        (*route, parameter["name"])
        for route in native_with_query(operations)
        for parameter in operations[route]["parameters"]
        if parameter["in"] == "query" and not (parameter.get("description") or parameter["schema"].get("description"))
    ]
    assert silent == []


def native_with_query(operations: Mapping[tuple[str, str], Node]) -> list[tuple[str, str]]:
    return [
        (method, path)
        for (method, path), operation in operations.items()
        if not set(operation["tags"]) & {dialect.name for dialect in FOREIGN}
        and any(parameter["in"] == "query" for parameter in operation.get("parameters", []))
    ]


def test_money_has_one_schema(document: Node) -> None:
    money = {"$ref": "#/components/schemas/Money"}
    schemas = document["components"]["schemas"]
    assert schemas["Money"]["type"] == "string"
    row = schemas["UsagePage"]["properties"]["data"]["items"]["properties"]["results"]["items"]["properties"]
    assert row["cost_usd"] == row["known_cost_usd"] == money
    assert schemas["EventShown"]["properties"]["known_cost_usd"] == money
    assert money in schemas["WireEvent"]["properties"]["cost_usd"]["anyOf"]
    assert money in schemas["Result"]["properties"]["cost_usd"]["anyOf"]
    assert schemas["RateWanted"]["properties"]["usd"]["$ref"] == money["$ref"]
    others = [node for node in nodes(document) if node.get("format") == "decimal"]
    assert others == [schemas["Money"]]


def test_a_real_problem_is_as_documented(call: AppClient, document: Node) -> None:
    schema = document["components"]["schemas"]["NativeError"]
    for method, path, key in [("GET", "/v1/usage/query", ADMIN_KEY), ("GET", "/v1/events", None), ("PUT", "/x", None)]:
        problem = call(method, path, key=key).json()
        assert set(schema["required"]) <= set(problem) <= set(schema["properties"])


def test_public_routes_alone_need_no_key(document: Node, operations: Mapping[tuple[str, str], Node]) -> None:
    assert document["security"] == [{"bearer": []}, {"key": []}]
    assert set(document["components"]["securitySchemes"]) == {"bearer", "key"}
    for route, operation in operations.items():
        assert ("security" in operation) == ACCESS[route].public
        assert operation.get("security", []) == []


def test_the_event_is_described_field_by_field(document: Node, operations: Mapping[tuple[str, str], Node]) -> None:
    body = operations["POST", "/v1/events"]["requestBody"]["content"]
    assert set(body) == {"application/json", NDJSON}
    event = resolved(document, body[NDJSON]["schema"])
    assert set(event["properties"]) == set(WireEvent.__struct_fields__)
    (usage, null) = event["properties"]["usage"]["anyOf"]
    assert null == {"type": "null"}
    assert set(usage["properties"]) == set(COUNTERS)
    assert usage["properties"]["input_tokens"] == {"type": ["integer", "null"], "minimum": 0, "maximum": COUNTER_MAX}
    assert usage["properties"]["audio_seconds"]["type"] == ["number", "null"]
    single_or_many = body["application/json"]["schema"]["anyOf"]
    assert {next(iter(resolved(document, schema)["properties"])) for schema in single_or_many} == {"id", "events"}


def test_the_docs_are_a_page(call: AppClient) -> None:
    page = call("GET", "/docs", key=None)
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert "/openapi.json" in page.text
    to_it = call("GET", "/", key=None)
    assert (to_it.status_code, to_it.headers["location"]) == (307, "/docs")


def test_the_page_of_the_docs_asks_only_this_server(call: AppClient) -> None:
    page = call("GET", "/docs", key=None).text
    assert "//" not in page.replace("window.location.protocol + '//'", "")
    files = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert {file.rpartition(".")[2] for file in files} == {"js", "css", "png"}
    for file in files:
        assert call("GET", file, key=None).status_code == 200
    assert call("GET", "/docs/other.js", key=None).status_code == 404
