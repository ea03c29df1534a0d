"""The one way into the event store: check the whole batch, rate it, queue it, answer after the commit."""

from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

import msgspec

from tallybook.core.clock import Clock
from tallybook.core.errors import Fault, InvalidInput
from tallybook.core.group_commit import GroupWriter
from tallybook.core.ids import UidSource, uid_text
from tallybook.core.money import COST_PICO_MAX, COST_USD_MAX
from tallybook.metering.errors import BatchTooLarge
from tallybook.metering.event import Outcome, Sender, Stored, Submission, UsageEvent
from tallybook.metering.identity import content_hash, derived_id, identity_of, request_key
from tallybook.metering.normalize import faults_of
from tallybook.metering.rating import Rater, rate_event
from tallybook.metering.store import EventStore

_MADE_READY = 100
"""Events from which on a batch is made ready before its turn; for fewer it is cheaper to do it in one go."""


class _Batch(NamedTuple):
    """`ready`: what was made of all the submissions beforehand, in parts; none where nothing was."""

    submissions: Sequence[Submission]
    ready: Sequence[object]


Beside = Callable[[Sequence[Any]], Sequence[Any]]
"""Answers each job, or raises for all of them."""


def _nobody(jobs: Sequence[Any]) -> Sequence[Any]:
    raise TypeError("nobody takes other jobs than batches")


class MeteringService:
    """Takes usage events. Repeats are safe: the same event again is answered as a duplicate.

    `beside` commits jobs of other rooms in the event store, whose commits are numbered in one row with the batches.
    """

    def __init__(
        self,
        store: EventStore,
        rater: Rater,
        clock: Clock,
        *,
        batch_events_max: int,
        queue_events_max: int,
        flush_events_max: int,
        beside: Beside = _nobody,
    ) -> None:
        self._store = store
        self._rater = rater
        self._clock = clock
        self._uids = UidSource(clock)
        self._batch_events_max = batch_events_max
        self._beside = beside
        self.writer: GroupWriter[Any, Any] = GroupWriter(
            "event",
            self._flush,
            queue_weight_max=queue_events_max,
            flush_weight_max=flush_events_max,
            idle=store.maintain,
        )

    def prepare(
        self,
        events: Sequence[UsageEvent | None],
        sender: Sender,
        *,
        idempotency_key: str | None = None,
        faults: Sequence[Fault] = (),
        texts_checked: bool = False,
    ) -> list[Submission]:
        """Checks, identifies and rates a batch; nothing is stored yet.

        `faults` were found while reading; an event they concern is None. For `texts_checked` see `faults_of`. Raises
        `InvalidInput` with every fault of the batch, each under `("events", index, field…)`, or `BatchTooLarge`.
        """
        if len(events) > self._batch_events_max:
            raise BatchTooLarge(len(events), self._batch_events_max)
        now_us = self._clock.now_us()
        found = list(faults)
        submissions = []
        for index, (event, uid) in enumerate(zip(events, self._uids.take(len(events)), strict=True)):
            if event is None:
                continue
            if sender.external_user_id is not None and event.external_user_id is None:
                event = _on_behalf(event, sender.external_user_id)
            wrong = faults_of(event, sender, now_us, texts_checked=texts_checked)
            if wrong:
                found.extend(Fault(("events", index, *fault.loc), fault.msg) for fault in wrong)
                continue
            event_id = event.id
            if event_id is None:
                event_id = derived_id(sender.org_id, idempotency_key, index) if idempotency_key else uid_text(uid)
            occurred_at_us = now_us if event.occurred_at_us is None else event.occurred_at_us
            rating = rate_event(self._rater, sender.org_id, event, occurred_at_us, event.usage)
            if rating.known_cost_pico > COST_PICO_MAX:
                found.append(Fault(("events", index, "usage"), f"costs more than {COST_USD_MAX} USD"))
                continue
            submissions.append(
                Submission(
                    org_id=sender.org_id,
                    event=event,
                    event_id=event_id,
                    identity=identity_of(sender.org_id, event.source, event_id),
                    content=content_hash(event),
                    request_key=request_key(sender.org_id, event, event_id),
                    uid=uid,
                    occurred_at_us=occurred_at_us,
                    user_id=event.user_id or sender.user_id,
                    api_key_id=event.api_key_id or sender.key_id,
                    project_id=event.project_id or sender.project_id,
                    recorded_by=sender.key_id,
                    rating=rating,
                )
            )
        if found:
            raise InvalidInput(sorted(found, key=_by_place))
        return submissions

    async def store(self, submissions: Sequence[Submission], sender: Sender) -> Sequence[Outcome]:
        """Stores what is new and answers after the commit; what the sender may not read is left out of the answers.

        Raises `Overloaded` when the queue is full and `StorageFull`; nothing is stored then.
        """
        return self.as_seen(await self.commit(submissions), sender) if submissions else []

    async def commit(self, submissions: Sequence[Submission]) -> Sequence[Outcome]:
        """As `store`, with outcomes for the server's own eyes."""
        outcomes: Sequence[Outcome] = await self.writer.submit(self._batch(submissions), weight=len(submissions))
        return outcomes

    def commit_from_thread(self, parts: Iterable[Sequence[Submission]]) -> Sequence[Outcome]:
        """As `commit`, of all parts in one, for a thread without an event loop, which it holds until the commit.

        A part is made ready as soon as it comes, while it is near the processor.
        """
        submissions, ready = list[Submission](), list[object]()
        for part in parts:
            submissions.extend(part)
            ready.append(self._store.make_ready(part))
        if not submissions:
            return []
        future = self.writer.submit_from_thread(_Batch(submissions, ready), weight=len(submissions))
        outcomes: Sequence[Outcome] = future.result()
        return outcomes

    def as_seen(self, outcomes: Sequence[Outcome], sender: Sender) -> Sequence[Outcome]:
        """The outcomes without what the sender may not read."""
        return outcomes if sender.reads_org else [_as_seen(outcome, sender) for outcome in outcomes]

    def close(self) -> None:
        """Commits all that was accepted, then closes the store."""
        self.writer.close()
        self._store.close()

    def _batch(self, submissions: Sequence[Submission]) -> _Batch:
        # The writer is the narrowest place: a large batch comes to it with most of its work done.
        ready = [self._store.make_ready(submissions)] if len(submissions) >= _MADE_READY else []
        return _Batch(submissions, ready)

    def _flush(self, jobs: Sequence[Any]) -> Sequence[Any]:
        batches = [job for job in jobs if isinstance(job, _Batch)]
        if len(batches) == len(jobs):
            return self._append(batches)
        others = [job for job in jobs if not isinstance(job, _Batch)]
        stored, done = iter(_attempt(self._append, batches)), iter(_attempt(self._beside, others))
        return [next(stored) if isinstance(job, _Batch) else next(done) for job in jobs]

    def _append(self, batches: Sequence[_Batch]) -> Sequence[Sequence[Outcome]]:
        submissions = [submission for batch in batches for submission in batch.submissions]
        ready = [part for batch in batches for part in batch.ready] if all(batch.ready for batch in batches) else []
        outcomes = self._store.append(submissions, ready)
        ends = list(accumulate(len(batch.submissions) for batch in batches))
        return [outcomes[start:end] for start, end in pairwise([0, *ends])]


def _attempt(flush: Beside, jobs: Sequence[Any]) -> Sequence[Any]:
    """The answers; each is the exception, if there is one: those of the other jobs stand."""
    try:
        return flush(jobs) if jobs else []
    except Exception as error:
        return [error] * len(jobs)


def _on_behalf(event: UsageEvent, external_user_id: str) -> UsageEvent:
    return msgspec.structs.replace(event, external_user_id=external_user_id)


def _by_place(fault: Fault) -> tuple[int, ...]:
    return tuple(part for part in fault.loc if isinstance(part, int))


def _as_seen(outcome: Outcome, sender: Sender) -> Outcome:
    if outcome.stored is None:
        return outcome
    return outcome if _may_read(outcome.stored, sender) else Outcome(outcome.status, None)


def _may_read(stored: Stored, sender: Sender) -> bool:
    if sender.reads_user_id is not None:
        return stored.user_id == sender.reads_user_id
    return sender.reads_key_id is not None and stored.api_key_id == sender.reads_key_id
