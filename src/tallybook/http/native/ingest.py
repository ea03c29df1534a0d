"""`POST /v1/events`, the hottest route: a raw ASGI endpoint, described in the OpenAPI document all the same."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import parse_qs

import msgspec

from tallybook.auth.key import Caller
from tallybook.core.counters import COUNTERS, Counter
from tallybook.core.errors import Fault, InvalidInput, invalid
from tallybook.core.ids import uid_text
from tallybook.core.money import COUNTER_MAX, usd_text
from tallybook.http.access import Gate, idempotency_key
from tallybook.http.body import Headers, Receive, header, read_body
from tallybook.http.document import MONEY
from tallybook.http.gateway import Send, send_json
from tallybook.http.metrics import Metrics
from tallybook.http.native.event_wire import NDJSON, WireEvent, read_events
from tallybook.http.native.provider_response import FIELD, with_answers
from tallybook.http.sender import sender_of
from tallybook.http.turns import Turns
from tallybook.metering.answers import ReadAnswer
from tallybook.metering.errors import EventConflict
from tallybook.metering.event import Outcome, Sender, Status, Submission
from tallybook.metering.service import MeteringService
from tallybook.requests.messages import Messages
from tallybook.settlement.linking import Linking

PATH = "/v1/events"


class Result(msgspec.Struct, omit_defaults=True):
    index: int
    id: str
    status: str
    uid: str | msgspec.UnsetType = msgspec.UNSET
    pricing: str | msgspec.UnsetType = msgspec.UNSET
    cost_usd: str | msgspec.UnsetType | None = msgspec.UNSET
    unread: Sequence[str] | msgspec.UnsetType = msgspec.UNSET


class Receipt(msgspec.Struct):
    inserted: int
    duplicates: int
    conflicts: int
    results: list[Result]


class Batch(msgspec.Struct):
    """Several events; a single event may also stand alone as the body."""

    events: list[WireEvent]


_ENCODE = msgspec.json.Encoder().encode


def _document() -> Mapping[str, Any]:
    (event, batch, receipt), schemas = msgspec.json.schema_components(
        [WireEvent, Batch, Receipt], ref_template="#/components/schemas/{name}"
    )
    fields = schemas["WireEvent"]["properties"]
    fields["usage"] = {"anyOf": [_usage_schema(), {"type": "null"}], "default": None}
    fields["metadata"] = {"anyOf": [{"type": "object"}, {"type": "null"}], "default": None}
    fields["messages"] = {"description": "Anything. Kept only where the org has set store_messages."}
    fields["provider_response"] = {
        "anyOf": [{"type": "object"}, {"type": "array", "items": {"type": "object"}}, {"type": "null"}],
        "default": None,
        "description": "The provider's answer, or the chunks of a streamed one: read for its usage, not kept.",
    }
    fields["occurred_at"] = {
        "anyOf": [{"type": "string", "format": "date-time"}, {"type": "number"}, {"type": "null"}],
        "description": "RFC 3339, or Unix seconds; now by default.",
    }
    fields["cost_usd"] = {
        "anyOf": [MONEY, {"type": "null"}],
        "description": "A given cost; rated from the price table by default.",
    }
    schemas["Result"]["properties"]["cost_usd"] = {"anyOf": [MONEY, {"type": "null"}]}
    query = {
        "name": "strict",
        "in": "query",
        "description": "Refuse fields that no event has, in place of ignoring them.",
        "schema": {"type": "boolean", "default": False},
    }
    repeat = {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "Gives events without an id one that is the same when the call is repeated.",
        "schema": {"type": "string", "maxLength": 255},
    }
    operation = {
        "operationId": "ingest_events",
        "tags": ["events"],
        "summary": "Record usage events",
        "description": "Stores each event once and answers after the commit. A batch with one fault stores nothing.",
        "parameters": [query, repeat],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": {"anyOf": [batch, event]}},
                NDJSON: {"schema": event},
            },
        },
        "responses": {
            "200": {
                "description": "What became of each event",
                "content": {"application/json": {"schema": receipt}},
            }
        },
    }
    return {"paths": {PATH: {"post": operation}}, "schemas": schemas}


def _usage_schema() -> Mapping[str, Any]:
    def amount(counter: Counter) -> Mapping[str, Any]:
        kind = "number" if counter.is_decimal else "integer"
        return {"type": [kind, "null"], "minimum": 0, "maximum": COUNTER_MAX // counter.scale}

    return {"type": "object", "properties": {name: amount(counter) for name, counter in COUNTERS.items()}}


DOCUMENT = _document()


class _Prepared(NamedTuple):
    """A batch that may be stored. `messages` are packed; `unread` as in `Result`, by index."""

    submissions: Sequence[Submission]
    sender: Sender
    bare: bool
    unread: Mapping[int, Sequence[str]]
    messages: Sequence[object]


class IngestEndpoint:
    """Reads, checks and stores a batch; answers after the commit."""

    def __init__(
        self,
        gate: Gate,
        metering: MeteringService,
        linking: Linking,
        metrics: Metrics,
        read_answer: ReadAnswer,
        messages: Messages,
        *,
        body_bytes_max: int,
    ) -> None:
        self._gate = gate
        self._metering = metering
        self._linking = linking
        self._metrics = metrics
        self._read_answer = read_answer
        self._messages = messages
        self._body_bytes_max = body_bytes_max
        self._turns = Turns()

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        headers: Headers = scope["headers"]
        caller = self._gate.admit(headers, "POST", PATH)
        body = await read_body(receive, headers, self._body_bytes_max)
        work = partial(
            self._prepare,
            body,
            header(headers, b"content-type"),
            _strict(scope["query_string"]),
            caller,
            idempotency_key(headers),
        )
        # The first answer that is read takes seconds.
        long = _may_hold_answers(body)
        submissions, sender, bare, unread, messages = await (
            self._turns.take_long(work) if long else self._turns.take(work, len(body))
        )
        if messages:
            await self._messages.keep(messages)
        outcomes = await self._linking.store(submissions, sender)
        if messages:
            await self._messages.forget(_known(submissions, outcomes))
        if bare and outcomes[0].status is Status.CONFLICT:
            self._metrics.events(conflicts=1)
            raise EventConflict(submissions[0].event_id, outcomes[0])
        await send_json(send, _ENCODE(self._receipt(submissions, outcomes, unread)))

    def _prepare(
        self, body: bytes, content_type: str, strict: bool, caller: Caller, idempotency_key: str | None
    ) -> _Prepared:
        keeps = self._messages.keeps(caller.org_id)
        reading = read_events(body, content_type, strict=strict, with_messages=keeps)
        unread: Mapping[int, Sequence[str]] = {}
        if reading.answers:
            reading, unread = with_answers(reading, self._read_answer)
        sender = sender_of(caller)
        submissions = self._metering.prepare(
            reading.events,
            sender,
            idempotency_key=idempotency_key,
            faults=reading.faults,
            texts_checked=reading.texts_checked,
        )
        admitted = self._linking.admit(submissions)
        messages = {admitted[index].uid: text for index, text in reading.messages.items()}
        packed = self._messages.packed(caller.org_id, messages) if messages else ()
        return _Prepared(admitted, sender, reading.bare, unread, packed)

    def _receipt(
        self, submissions: Sequence[Submission], outcomes: Sequence[Outcome], unread: Mapping[int, Sequence[str]]
    ) -> Receipt:
        results = [
            _inserted(index, submission) if outcome.status is Status.INSERTED else _met(index, submission, outcome)
            for index, (submission, outcome) in enumerate(zip(submissions, outcomes, strict=True))
        ]
        for index, places in unread.items():
            results[index].unread = places
        statuses = [outcome.status for outcome in outcomes]
        inserted, duplicates, conflicts = (
            statuses.count(status) for status in (Status.INSERTED, Status.DUPLICATE, Status.CONFLICT)
        )
        self._metrics.events(inserted=inserted, duplicates=duplicates, conflicts=conflicts)
        return Receipt(inserted, duplicates, conflicts, results)


def _known(submissions: Sequence[Submission], outcomes: Sequence[Outcome]) -> list[bytes]:
    """The uids that were not needed."""
    pairs = zip(submissions, outcomes, strict=True)
    return [submission.uid for submission, outcome in pairs if outcome.status is not Status.INSERTED]


def _inserted(index: int, submission: Submission) -> Result:
    rating = submission.rating
    cost = None if rating.cost_pico is None else usd_text(rating.cost_pico)
    return Result(index, submission.event_id, "inserted", uid_text(submission.uid), rating.pricing._value_, cost)


def _met(index: int, submission: Submission, outcome: Outcome) -> Result:
    stored = outcome.stored
    if stored is None or outcome.status is Status.CONFLICT:
        return Result(index, submission.event_id, outcome.status.value)
    cost = None if stored.cost_pico is None else usd_text(stored.cost_pico)
    return Result(index, submission.event_id, outcome.status.value, uid_text(stored.uid), stored.pricing, cost)


def _may_hold_answers(body: bytes) -> bool:
    return FIELD.encode() in body or b"\\u00" in body


def _strict(query_string: bytes) -> bool:
    if not query_string:
        return False
    asked = parse_qs(query_string.decode("latin-1"), keep_blank_values=True)
    unknown = [Fault(("query", name), "is not known here") for name in asked if name != "strict"]
    if unknown:
        raise InvalidInput(unknown)
    value = asked.get("strict", ["false"])[-1].lower()
    if value not in ("true", "1", "false", "0"):
        raise invalid("query", "strict", msg="must be true or false")
    return value in ("true", "1")
