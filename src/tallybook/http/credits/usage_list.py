"""Usage records and their summary, and the records behind transactions (contract sections 7.2, 9.4 and 9.5)."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import Any

from starlette.concurrency import run_in_threadpool

from tallybook.analytics.answer import EventRecord
from tallybook.analytics.plan import STORABLE
from tallybook.analytics.query import EVENTS_MAX, Condition, Dimension, EventQuery, Reach, UsageQuery, conditions_of
from tallybook.analytics.service import UsageService
from tallybook.core.errors import invalid
from tallybook.core.time_window import Bucket
from tallybook.http.credits.convert import pagination, to_address, to_end, to_slice_if_asked, to_start
from tallybook.http.credits.operations import Answer, Call, Operation
from tallybook.http.credits.streams import listed
from tallybook.http.credits.usage_shown import (
    KINDS,
    MEASURES,
    UsageAsked,
    UsageList,
    summary_shown,
    usage_record_shown,
)
from tallybook.http.credits.wire import UsageRecordShown
from tallybook.ledger.errors import TooManyResults, UnknownAccount
from tallybook.ledger.model import Address, Transaction
from tallybook.ledger.service import LedgerService
from tallybook.settlement.model import Link

LinksOf = Callable[[str, Sequence[str]], Sequence[Link]]


@dataclass(frozen=True)
class Question:
    """Which usage: every figure of an answer covers exactly this."""

    reach: Reach
    start_us: int
    end_us: int
    conditions: tuple[Condition, ...]

    def events(self, *, limit: int = EVENTS_MAX, offset: int = 0) -> EventQuery:
        return EventQuery(
            self.reach, self.start_us, self.end_us, conditions=self.conditions, limit=limit, offset=offset
        )

    def sums(self, measures: Sequence[str], group_by: tuple[Dimension, ...] = ()) -> UsageQuery:
        return UsageQuery(
            self.reach,
            self.start_us,
            self.end_us,
            bucket=Bucket.ALL,
            group_by=group_by,
            conditions=self.conditions,
            measures=tuple(measures),
        )


class Usages:
    """`links_of` leads from transactions of an org to their usage."""

    def __init__(self, usage: UsageService, ledger: LedgerService, links_of: LinksOf, *, list_rows_max: int) -> None:
        self._usage = usage
        self._ledger = ledger
        self._links_of = links_of
        self._list_rows_max = list_rows_max
        self.operations: list[Operation[Any]] = [
            Operation(
                "GET", "/v1/usage", "get_usage", "Usage records, newest first, or their summary",
                UsageAsked, UsageList, self._get,
            ),
        ]  # fmt: skip

    def of_transactions(
        self, reach: Reach, org_id: str, transactions: Sequence[Transaction]
    ) -> Mapping[str, list[UsageRecordShown]]:
        """The usage records of each transaction that has any, newest first. Raises `TooManyResults`."""
        links = self._links_of(org_id, [transaction.id for transaction in transactions])
        if not links:
            return {}
        instants = [link.occurred_at_us for link in links]
        named = conditions_of([((Dimension.TRANSACTION_ID,), {link.transaction_id for link in links})])
        found = self._walk(Question(reach, min(instants), max(instants) + 1, named))
        by_transaction: dict[str, list[UsageRecordShown]] = {}
        for record in self._shown(org_id, self._bounded(found)):
            by_transaction.setdefault(record.transaction_id or "", []).append(record)
        return by_transaction

    async def _get(self, call: Call[UsageAsked]) -> Answer:
        # Not in asyncio's few threads, which batches of events need: a report may wait long for its turn.
        return await run_in_threadpool(self._answer, call)

    def _answer(self, call: Call[UsageAsked]) -> Answer:
        org_id, asked = call.org_id, call.wanted
        question = self._question(call)
        if asked.summary:
            rows = self._usage.query(question.sums(MEASURES, (Dimension.CONTEXT, Dimension.MODEL))).all_rows
            return UsageList(summary=summary_shown(rows))
        page = to_slice_if_asked(asked)
        if page is not None:
            events = self._usage.list_events(question.events(limit=page.limit, offset=page.offset)).events
            records = list(self._shown(org_id, events))
            return UsageList(records, pagination=pagination(page, len(records), self._count(question)))
        if self._count(question) > self._list_rows_max:
            raise TooManyResults(self._list_rows_max)
        return listed(b'{"success":true,"usageRecords":[', self._shown(org_id, self._walk(question)), b"]}")

    def _question(self, call: Call[UsageAsked]) -> Question:
        asked, address = call.wanted, to_address(call.wanted)
        start_us, end_us = to_start(asked.start_date), to_end(asked.end_date)
        if start_us is not None and end_us is not None and start_us >= end_us:
            raise invalid("endDate", msg="must not be before startDate")
        account_id = None if address == Address() else self._ledger.get_account(call.org_id, address).id
        wanted: Mapping[Dimension, Iterable[str | None]] = {
            Dimension.ACCOUNT_ID: [account_id],
            Dimension.TRANSACTION_ID: [asked.transaction_id],
            Dimension.MODEL: [asked.model_id],
            Dimension.CONTEXT: [asked.context],
            Dimension.KIND: KINDS.get(asked.usage_type or "", ()),
        }
        return Question(
            reach_in_org(call),
            STORABLE.start_us if start_us is None else start_us,
            STORABLE.end_us if end_us is None else end_us,
            conditions_of(
                ((dimension,), [value for value in values if value is not None]) for dimension, values in wanted.items()
            ),
        )

    def _count(self, question: Question) -> int:
        (count,) = self._usage.query(question.sums(["events"])).sums
        return count

    def _walk(self, question: Question) -> Iterator[EventRecord]:
        """All events, as of one commit. The first page is read at once, so that it can still be refused."""
        query = question.events()
        first = self._usage.list_events(query)

        def following() -> Iterator[EventRecord]:
            page = first
            while page.next_page is not None:
                page = self._usage.list_events(replace(query, page=page.next_page))
                yield from page.events

        return chain(first.events, following())

    def _bounded(self, events: Iterator[EventRecord]) -> Sequence[EventRecord]:
        found = list(islice(events, self._list_rows_max + 1))
        if len(found) > self._list_rows_max:
            raise TooManyResults(self._list_rows_max)
        return found

    def _shown(self, org_id: str, events: Iterable[EventRecord]) -> Iterator[UsageRecordShown]:
        external_ids: dict[str | None, str | None] = {None: None}
        for event in events:
            account_id = event.fields.get("account_id")
            named = account_id if isinstance(account_id, str) else None
            if named not in external_ids:
                external_ids[named] = self._external_id(org_id, named)
            yield usage_record_shown(event, external_ids[named])

    def _external_id(self, org_id: str, account_id: str | None) -> str | None:
        """None also for an account that only the event knows."""
        try:
            return self._ledger.get_account(org_id, Address(account_id)).external_id
        except UnknownAccount:
            return None


def reach_in_org(call: Call[Any]) -> Reach:
    """All usage of the org: end users named by header do not narrow here."""
    return Reach(asker=call.caller.key.id, org_ids=(call.org_id,))
