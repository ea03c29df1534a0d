"""What every `UsageStore` must do. An engine runs it by a subclass with a fixture `book`: an empty store."""

from dataclasses import replace
from typing import Any

import pytest

from tallybook.analytics.answer import EventRecord, UsageBucket
from tallybook.analytics.errors import NoSuchEvent, TooManyBuckets, TooManyRows
from tallybook.analytics.query import (
    MEASURES,
    Condition,
    Dimension,
    EventQuery,
    LineItem,
    LineQuery,
    Reach,
    UsageQuery,
    conditions_of,
)
from tallybook.analytics.service import UsageService
from tallybook.core.counters import COUNTERS, Aggregate
from tallybook.core.errors import InvalidInput
from tallybook.core.paging import Cursors
from tallybook.core.time_window import DAY_US, HOUR_US, Bucket
from tests.admin_rooms import StillClock
from tests.storage.facts import JAN_1, Book, Fact, uid_of

ADMIN = Reach("key_admin", ("org",))
CURSORS = Cursors(b"secret of the tests")


def asking(book: Book, *, rows_max: int = 1_000) -> UsageService:
    return UsageService(book.store, CURSORS, StillClock(), rows_max=rows_max, export_events_max=rows_max)


def total(book: Book, *measures: str, **fields: Any) -> dict[str, int | None]:
    """The one row over everything, {} if there is none."""
    query = UsageQuery(ADMIN, JAN_1, JAN_1 + 100 * DAY_US, Bucket.ALL, measures=measures or ("requests",))
    (bucket,) = asking(book).query(replace(query, **fields)).buckets
    return dict(zip(measures or ("requests",), bucket.rows[0].numbers, strict=True)) if bucket.rows else {}


def grouped(book: Book, *dimensions: Dimension, **fields: Any) -> dict[Any, int | None]:
    """Requests by group."""
    query = UsageQuery(ADMIN, JAN_1, JAN_1 + 100 * DAY_US, Bucket.ALL, group_by=dimensions, measures=("requests",))
    (bucket,) = asking(book).query(replace(query, **fields)).buckets
    return {row.group: row.numbers[0] for row in bucket.rows}


def lines(book: Book, **fields: Any) -> dict[str, tuple[int, int | None]]:
    """Cost and quantity by line, over everything."""
    query = LineQuery(ADMIN, JAN_1, JAN_1 + 100 * DAY_US, Bucket.ALL)
    (bucket,) = asking(book).query_lines(replace(query, **fields)).buckets
    return {row.item.text: (row.cost_pico, row.quantity) for row in bucket.rows}


def listed(book: Book, **fields: Any) -> list[str]:
    return [event.event_id for event in asking(book).list_events(replace(EventQuery(ADMIN), **fields)).events]


def got(book: Book, number: int, reach: Reach = ADMIN, as_of_us: int | None = None) -> EventRecord:
    return asking(book).get_event(reach, str(uid_of(number)), as_of_us)


def only(dimension: Dimension, *values: str | bool) -> tuple[Condition, ...]:
    return conditions_of([((dimension,), values)])


class UsageStoreSuite:
    # --- sums

    def test_an_empty_store_answers_empty_buckets(self, book: Book) -> None:
        page = asking(book).query(UsageQuery(ADMIN, JAN_1, JAN_1 + 2 * DAY_US))
        assert [bucket.rows for bucket in page.buckets] == [(), ()]
        assert page.next_page is None

    def test_sums_are_exact_beyond_64_bits(self, book: Book) -> None:
        book.record(*(Fact(n, cost=9 * 10**18, set={"input_tokens": 2**53 - 1}) for n in range(1_100)))
        assert total(book, "requests", "input_tokens", "cost_usd") == {
            "requests": 1_100,
            "input_tokens": 1_100 * (2**53 - 1),
            "cost_usd": 1_100 * 9 * 10**18,
        }

    def test_sums_of_groups_are_exact_beyond_64_bits(self, book: Book) -> None:
        small = [Fact(n, cost=n, set={"model": f"m-{n:04}"}) for n in range(2_500)]
        large = [Fact(n, cost=9 * 10**18, set={"model": "n", "peak_memory_mib": n}) for n in (2_500, 2_501)]
        book.record(*small, *large)
        query = UsageQuery(ADMIN, JAN_1, JAN_1 + DAY_US, group_by=(Dimension.MODEL,))
        (bucket,) = asking(book, rows_max=5_000).query(replace(query, measures=("cost_usd", "peak_memory_mib"))).buckets
        assert [row.numbers for row in bucket.rows[:-1]] == [(n, None) for n in range(2_500)]
        assert bucket.rows[-1] == (("n",), (18 * 10**18, 2_501))

    @pytest.mark.parametrize("name", list(COUNTERS))
    def test_every_counter_is_a_measure(self, book: Book, name: str) -> None:
        book.record(Fact(1, set={name: 3}), Fact(2, set={name: 4}), Fact(3))
        plain = {"requests": 8, "peak_memory_mib": 4, "reserved_memory_mib": 4}.get(name, 7)
        assert total(book, name) == {name: plain}

    def test_a_counter_nobody_sent_sums_to_0_and_has_no_maximum(self, book: Book) -> None:
        book.record(Fact(1))
        assert total(book, "images", "peak_memory_mib") == {"images": 0, "peak_memory_mib": None}

    def test_an_event_counts_as_its_requests_or_one(self, book: Book) -> None:
        book.record(Fact(1), Fact(2, set={"requests": 5}), Fact(3, set={"requests": 0}))
        assert total(book) == {"requests": 6}

    def test_sandbox_usage_counts_as_its_operations_or_one(self, book: Book) -> None:
        book.record(
            Fact(1, kind="sandbox"),
            Fact(2, kind="sandbox", set={"operations": 5}),
            Fact(3, kind="sandbox", set={"operations": 0}),
            Fact(4, kind="file"),
        )
        assert total(book, "operations") == {"operations": 6}

    def test_unpriced_usage_is_counted_and_never_added_to_the_cost(self, book: Book) -> None:
        book.record(Fact(1, cost=10), Fact(2, cost=None, known_cost=7, set={"requests": 3}))
        assert total(book, "cost_usd", "known_cost_usd", "unpriced_requests") == {
            "cost_usd": 10,
            "known_cost_usd": 17,
            "unpriced_requests": 3,
        }

    def test_events_are_counted_whatever_they_stand_for(self, book: Book) -> None:
        book.record(Fact(1, cost=10), Fact(2, cost=None, set={"requests": 3}), Fact(3, cost=0, set={"requests": 0}))
        assert total(book, "events", "unpriced_events") == {"events": 3, "unpriced_events": 1}

    def test_sessions_are_distinct_within_each_bucket_and_group(self, book: Book) -> None:
        book.record(
            Fact(1, set={"session_id": "s", "model": "a"}),
            Fact(2, set={"session_id": "s", "model": "b"}),
            Fact(3, set={"session_id": "s", "model": "b"}, occurred_at=JAN_1 + DAY_US),
            Fact(4, set={"session_id": "t", "model": "b"}),
            Fact(5, set={"model": "b"}),
            Fact(6, set={"model": "b"}),
            Fact(7, org_id="other", set={"session_id": "s"}),
        )
        voided = Fact(8, set={"session_id": "u"})
        book.record(voided)
        book.void(voided)
        query = UsageQuery(ADMIN, JAN_1, JAN_1 + 2 * DAY_US, measures=("sessions",))
        assert total(book, "sessions") == {"sessions": 4}
        assert total(book, "sessions", reach=Reach("k", None)) == {"sessions": 5}
        assert [bucket.rows[0].numbers for bucket in asking(book).query(query).buckets] == [(4,), (1,)]
        grouped = asking(book).query(replace(query, bucket=Bucket.ALL, group_by=(Dimension.MODEL,))).buckets[0]
        assert grouped.rows == ((("a",), (1,)), (("b",), (4,)))

    def test_all_measures_fit_in_one_query(self, book: Book) -> None:
        book.record(Fact(1, set={"units": 5}))
        assert total(book, *MEASURES)["units"] == 5

    @pytest.mark.parametrize(
        ("usage", "audio", "images"),
        [
            ({"input_audio_tokens": 30, "input_image_tokens": 20}, 30, 20),
            ({"input_audio_tokens": 30, "cache_read_tokens": 10, "cache_read_audio_tokens": 10}, 20, 0),
            ({"input_image_tokens": 30, "cache_read_tokens": 10, "cache_read_image_tokens": 5}, 0, 25),
            ({"input_audio_tokens": 50, "cache_read_tokens": 60, "cache_write_tokens": 20}, 20, 0),
            ({"input_audio_tokens": 15, "input_image_tokens": 15, "cache_read_tokens": 80}, 15, 5),
        ],
    )
    def test_uncached_modalities_stay_within_the_uncached_input(
        self, book: Book, usage: dict[str, int], audio: int, images: int
    ) -> None:
        book.record(Fact(1, set={"input_tokens": 100, **usage}), Fact(2))
        assert list(total(book, "uncached_audio_tokens", "uncached_image_tokens").values()) == [audio, images]

    def test_a_web_search_counts_its_searches_or_its_requests(self, book: Book) -> None:
        book.record(Fact(1), Fact(2, set={"requests": 2}), Fact(3, set={"web_searches": 5}))
        assert total(book, "web_search_calls", "requests") == {"web_search_calls": 8, "requests": 4}

    # --- cost lines

    def test_lines_are_what_each_unit_of_a_model_cost(self, book: Book) -> None:
        book.record(
            Fact(1, cost=9, set={"model": "m", "input_tokens": 5, "cost_input_tokens": 9}),
            Fact(2, cost=7, set={"model": "m", "input_tokens": 8, "cost_input_tokens": 3, "cost_output_tokens": 4}),
            Fact(3, cost=2, set={"model": "n", "cost_images": 2, "images": 1}),
            Fact(4, cost=1, set={"cost_requests": 1}),
        )
        assert lines(book) == {
            "m, input_tokens": (12, 13),
            "m, output_tokens": (4, None),
            "n, images": (2, 1),
            "requests": (1, 1),
        }

    def test_a_line_has_the_quantity_it_was_charged_for(self, book: Book) -> None:
        usage = {"model": "m", "input_tokens": 100, "cache_read_tokens": 40}
        book.record(
            Fact(
                1, cost=9, set={**usage, "cost_input_tokens": 6, "pool_input_tokens": 60, "cost_cache_read_tokens": 3}
            ),
            Fact(2, cost=9, set={**usage, "cost_input_tokens": 9}),
            Fact(3, cost=0, set={**usage}),  # free: no line
        )
        assert lines(book) == {"m, input_tokens": (15, 160), "m, cache_read_tokens": (3, 40)}

    def test_a_given_cost_is_a_line_of_its_own(self, book: Book) -> None:
        book.record(Fact(1, cost=5, set={"model": "m", "pricing": "given", "input_tokens": 3}))
        assert lines(book) == {"m, given": (5, None)}

    def test_lines_add_up_to_the_cost_without_the_unpriced(self, book: Book) -> None:
        book.record(
            Fact(1, cost=9, set={"model": "m", "cost_input_tokens": 9}),
            Fact(2, cost=None, known_cost=4, set={"model": "m", "cost_input_tokens": 4}),
            Fact(3, cost=5, set={"model": "m", "pricing": "given"}),
        )
        assert sum(cost for cost, _ in lines(book).values()) == total(book, "cost_usd")["cost_usd"] == 14

    @pytest.mark.parametrize("unit", [name for name, counter in COUNTERS.items() if counter.aggregate is Aggregate.SUM])
    def test_every_unit_has_its_line(self, book: Book, unit: str) -> None:
        book.record(Fact(1, cost=2, set={unit: 3, f"cost_{unit}": 2}))
        assert lines(book) == {unit: (2, 3)}

    def test_line_items_are_matched_whole(self, book: Book) -> None:
        named = {"cost_input_tokens": 1, "cost_output_tokens": 2}
        book.record(*(Fact(n, cost=3, set={"model": model, **named}) for n, model in enumerate(["m", "m, n", None])))
        for texts in (
            ["m, input_tokens"],
            ["m, n, output_tokens", "m, input_tokens"],
            ["output_tokens"],
            ["m"],
            ["n, m"],
        ):
            found = lines(book, line_items=tuple(map(LineItem.of, texts)))
            assert set(found) == {text for text in texts if text not in ("m", "n, m")}

    def test_lines_by_group_bucket_and_filter_of_what_is_in_force(self, book: Book) -> None:
        first = Fact(1, cost=9, set={"model": "m", "project_id": "p", "cost_input_tokens": 9})
        other = Fact(2, cost=4, occurred_at=JAN_1 + DAY_US, set={"model": "m", "cost_input_tokens": 4})
        book.record(first, other, Fact(3, org_id="other", cost=1, set={"cost_input_tokens": 1}))
        recorded_at = book.recorded_at
        book.amend(first, cost=6, set={"model": "m", "project_id": "q", "cost_input_tokens": 6})
        query = LineQuery(ADMIN, JAN_1, JAN_1 + 3 * DAY_US, group_by=(Dimension.PROJECT_ID,))

        def costs(**fields: Any) -> list[list[tuple[Any, int]]]:
            page = asking(book).query_lines(replace(query, **fields))
            return [[(row.group, row.cost_pico) for row in bucket.rows] for bucket in page.buckets]

        assert costs() == [[(("q",), 6)], [((None,), 4)], []]
        assert costs(as_of_us=recorded_at) == [[(("p",), 9)], [((None,), 4)], []]
        assert costs(conditions=only(Dimension.PROJECT_ID, "q")) == [[(("q",), 6)], [], []]
        assert costs(bucket=Bucket.ALL, group_by=(Dimension.KIND,)) == [[(("completion",), 10)]]
        assert costs(group_by=(), reach=Reach("k", ("other",))) == [[((), 1)], [], []]

    def test_lines_are_paged_and_bounded_like_sums(self, book: Book) -> None:
        costs = {"cost_input_tokens": 1, "cost_output_tokens": 1}
        book.record(*(Fact(n, cost=2, occurred_at=JAN_1 + n * DAY_US, set=costs) for n in range(3)))
        query = LineQuery(ADMIN, JAN_1, JAN_1 + 3 * DAY_US)
        whole = asking(book, rows_max=6).query_lines(query)
        with pytest.raises(TooManyRows):
            asking(book, rows_max=5).query_lines(query)
        first = asking(book, rows_max=2).query_lines(replace(query, limit=1))
        assert first.buckets == whole.buckets[:1]
        second = asking(book).query_lines(replace(query, limit=2, page=first.next_page))
        assert (second.buckets, second.next_page) == (whole.buckets[1:], None)
        with pytest.raises(InvalidInput, match="page"):
            asking(book).query_lines(replace(query, page=first.next_page, line_items=(LineItem.of("m"),)))

    # --- groups and filters

    def test_groups_ascend_with_null_last(self, book: Book) -> None:
        book.record(*(Fact(n, set={"model": model}) for n, model in enumerate(["b", None, "a", "Ä", "b"])))
        assert list(grouped(book, Dimension.MODEL).items()) == [
            (("a",), 1),
            (("b",), 2),
            (("Ä",), 1),
            ((None,), 1),
        ]

    def test_a_long_answer_is_whole(self, book: Book) -> None:
        users = [(None, f"u-{n:04}", f"ü-{n:04}")[n % 3] for n in range(2_500)]
        book.record(*(Fact(n, cost=n, set={"user_id": user}) for n, user in enumerate(users)))
        query = UsageQuery(ADMIN, JAN_1, JAN_1 + DAY_US, group_by=(Dimension.USER_ID,), measures=("cost_usd",))
        (bucket,) = asking(book, rows_max=5_000).query(query).buckets
        expected = {user: n for n, user in enumerate(users) if user}
        assert [row.group[0] for row in bucket.rows] == [*sorted(expected), None]
        assert [row.numbers[0] for row in bucket.rows[:-1]] == [expected[user] for user in sorted(expected)]
        assert bucket.rows[-1].numbers == (sum(range(0, 2_500, 3)),)

    @pytest.mark.parametrize("dimension", [d for d in Dimension if d not in ("org_id", "batch", "background")])
    def test_every_text_dimension_groups_and_filters(self, book: Book, dimension: Dimension) -> None:
        book.record(Fact(1, set={dimension: "x"}), Fact(2, set={dimension: "y"}), Fact(3, set={dimension: "y"}))
        assert grouped(book, dimension) == {("x",): 1, ("y",): 2}
        assert total(book, conditions=only(dimension, "y")) == {"requests": 2}
        assert total(book, conditions=only(dimension, "x", "y")) == {"requests": 3}
        assert total(book, conditions=only(dimension, "z")) == {}

    @pytest.mark.parametrize("dimension", [Dimension.BATCH, Dimension.BACKGROUND])
    def test_flags_group_and_filter(self, book: Book, dimension: Dimension) -> None:
        book.record(Fact(1, set={dimension: True}), Fact(2))
        assert grouped(book, dimension) == {(False,): 1, (True,): 1}
        assert total(book, conditions=only(dimension, True)) == {"requests": 1}

    def test_filters_hold_together_and_one_may_look_at_two_dimensions(self, book: Book) -> None:
        book.record(
            Fact(1, set={"user_id": "ana", "model": "m"}),
            Fact(2, set={"external_user_id": "ana", "model": "m"}),
            Fact(3, set={"user_id": "bob", "model": "m"}),
            Fact(4, set={"user_id": "ana", "model": "other"}),
        )
        either = ((Dimension.USER_ID, Dimension.EXTERNAL_USER_ID), ["ana"])
        assert total(book, conditions=conditions_of([either, ((Dimension.MODEL,), ["m"])])) == {"requests": 2}

    def test_a_filter_may_exclude(self, book: Book) -> None:
        book.record(Fact(1, kind="sandbox"), Fact(2, kind="api_call", set={"model": "m"}), Fact(3, set={"model": "m"}))
        excluded = Condition((Dimension.KIND,), ("sandbox", "api_call"), excluded=True)
        assert grouped(book, Dimension.KIND, conditions=(excluded,)) == {("completion",): 1}
        without_model = Condition((Dimension.MODEL, Dimension.USER_ID), ("m",), excluded=True)
        assert grouped(book, Dimension.KIND, conditions=(without_model,)) == {("sandbox",): 1}

    def test_a_filter_value_is_only_ever_a_value(self, book: Book) -> None:
        book.record(Fact(1, set={"model": "x' OR '1'='1"}))
        assert total(book, conditions=only(Dimension.MODEL, "' OR '1'='1")) == {}
        assert total(book, conditions=only(Dimension.MODEL, "x' OR '1'='1")) == {"requests": 1}

    # --- walls

    def test_orgs_are_walls(self, book: Book) -> None:
        book.record(Fact(1), Fact(2, org_id="other"), Fact(3, org_id="third"))
        assert total(book) == {"requests": 1}
        assert listed(book) == ["event-1"]
        assert grouped(book, Dimension.ORG_ID, reach=Reach("k", ("org", "third"))) == {
            ("org",): 1,
            ("third",): 1,
        }
        assert total(book, reach=Reach("k", None)) == {"requests": 3}
        with pytest.raises(NoSuchEvent):
            got(book, 2)
        assert got(book, 2, Reach("k", ("other",))).org_id == "other"

    @pytest.mark.parametrize("wall", ["user_id", "api_key_id", "external_user_id"])
    def test_a_member_sees_own_rows_only(self, book: Book, wall: str) -> None:
        book.record(Fact(1, set={wall: "own"}), Fact(2, set={wall: "foreign"}), Fact(3))
        reach = Reach("k", ("org",), **{wall: "own"})
        assert total(book, reach=reach) == {"requests": 1}
        assert listed(book, reach=reach) == ["event-1"]
        assert got(book, 1, reach).event_id == "event-1"
        for number in (2, 3):
            with pytest.raises(NoSuchEvent):
                got(book, number, reach)

    # --- windows and pages

    def test_a_window_holds_its_start_and_not_its_end(self, book: Book) -> None:
        book.record(*(Fact(n, occurred_at=JAN_1 + n) for n in range(5)))
        assert total(book, start_us=JAN_1 + 1, end_us=JAN_1 + 4) == {"requests": 3}
        assert listed(book, start_us=JAN_1 + 1, end_us=JAN_1 + 4) == ["event-3", "event-2", "event-1"]

    def test_outer_buckets_are_clipped_or_widened(self, book: Book) -> None:
        book.record(*(Fact(n, occurred_at=JAN_1 + n * HOUR_US) for n in range(48)))
        query = UsageQuery(ADMIN, JAN_1 + 6 * HOUR_US, JAN_1 + 30 * HOUR_US, measures=("requests",))
        clipped = asking(book).query(query).buckets
        assert [(bucket.window.start_us, bucket.rows[0].numbers) for bucket in clipped] == [
            (JAN_1 + 6 * HOUR_US, (18,)),
            (JAN_1 + 24 * HOUR_US, (6,)),
        ]
        widened = asking(book).query(replace(query, whole_buckets=True)).buckets
        assert [(bucket.window.start_us, bucket.rows[0].numbers) for bucket in widened] == [
            (JAN_1, (24,)),
            (JAN_1 + 24 * HOUR_US, (24,)),
        ]

    def test_pages_of_one_bucket_are_the_large_page(self, book: Book) -> None:
        book.record(*(Fact(n, occurred_at=JAN_1 + n * 7 * HOUR_US) for n in range(20)))
        query = UsageQuery(ADMIN, JAN_1 + 1, JAN_1 + 8 * DAY_US + 5, limit=100)
        whole = asking(book).query(query)
        walked: list[UsageBucket] = []
        page: str | None = None
        while True:
            answer = asking(book).query(replace(query, limit=1, page=page))
            walked += answer.buckets
            page = answer.next_page
            if page is None:
                break
        assert tuple(walked) == whole.buckets
        assert len(walked) == 9

    def test_a_cursor_serves_its_own_question_and_asker_only(self, book: Book) -> None:
        query = UsageQuery(ADMIN, JAN_1, JAN_1 + 3 * DAY_US, limit=1)
        cursor = asking(book).query(query).next_page
        asking(book).query(replace(query, page=cursor, limit=2))
        for other in (
            replace(query, start_us=JAN_1 + 1),
            replace(query, end_us=JAN_1 + 4 * DAY_US),
            replace(query, group_by=(Dimension.MODEL,)),
            replace(query, bucket=Bucket.HOUR),
            replace(query, reach=replace(ADMIN, asker="key_other")),
            replace(query, reach=replace(ADMIN, org_ids=("other",))),
        ):
            with pytest.raises(InvalidInput, match="page"):
                asking(book).query(replace(other, page=cursor))
        with pytest.raises(InvalidInput, match="page"):
            asking(book).query(replace(query, page="x" + str(cursor)[1:]))

    def test_times_far_outside_are_empty_buckets(self, book: Book) -> None:
        book.record(Fact(1))
        for start in (-(2**53) * 1_000_000, (2**53 - 8 * 86_400) * 1_000_000):
            page = asking(book).query(UsageQuery(ADMIN, start, 2**53 * 1_000_000, limit=7, whole_buckets=True))
            assert [bucket.rows for bucket in page.buckets] == [()] * 7

    def test_an_answer_without_pages_may_be_larger_than_a_page(self, book: Book) -> None:
        query = UsageQuery(ADMIN, JAN_1, JAN_1 + 2_000 * HOUR_US, Bucket.HOUR, buckets_max=2_000)
        assert len(asking(book).query(query).buckets) == 2_000
        for wider in (replace(query, buckets_max=1_999), replace(query, end_us=JAN_1 + 2_000 * HOUR_US + 1)):
            with pytest.raises(TooManyBuckets):
                asking(book).query(wider)

    def test_an_answer_over_the_bound_is_refused(self, book: Book) -> None:
        book.record(*(Fact(n, set={"model": f"m{n}"}) for n in range(4)))
        query = UsageQuery(ADMIN, JAN_1, JAN_1 + DAY_US, group_by=(Dimension.MODEL,))
        assert len(asking(book, rows_max=4).query(query).buckets[0].rows) == 4
        with pytest.raises(TooManyRows):
            asking(book, rows_max=3).query(query)

    # --- what is in force

    def test_a_correction_replaces_voids_and_restores(self, book: Book) -> None:
        first = Fact(1, cost=5, set={"model": "a", "input_tokens": 10})
        book.record(first, Fact(2, cost=1, set={"model": "b", "peak_memory_mib": 9}))
        numbers = ("requests", "input_tokens", "cost_usd", "peak_memory_mib")

        second = book.amend(first, cost=8, set={"model": "b", "input_tokens": 12, "peak_memory_mib": 3})
        assert list(total(book, *numbers).values()) == [2, 12, 9, 9]
        assert grouped(book, Dimension.MODEL) == {("b",): 2}
        assert (got(book, 1).revision, got(book, 1).usage["input_tokens"]) == (2, 12)

        book.void(Fact(2))
        assert list(total(book, *numbers).values()) == [1, 12, 8, 3]
        assert listed(book) == ["event-1"]
        with pytest.raises(NoSuchEvent):
            got(book, 2)

        book.void(second)
        assert total(book) == {}
        assert listed(book) == []
        book.restore(second)
        assert list(total(book, *numbers).values()) == [1, 12, 8, 3]
        assert got(book, 1).revision == 3

    def test_an_answer_as_of_then_does_not_change(self, book: Book) -> None:
        first = Fact(1, cost=5)
        book.record(first)
        instants = [book.recorded_at]
        book.amend(first, cost=8)
        instants.append(book.recorded_at)
        book.void(replace(first, revision=2))
        instants.append(book.recorded_at)
        costs = [total(book, "cost_usd", as_of_us=instant) for instant in (instants[0] - 1, *instants)]
        assert costs == [{}, {"cost_usd": 5}, {"cost_usd": 8}, {}]
        assert [listed(book, as_of_us=instant) for instant in instants] == [["event-1"], ["event-1"], []]
        assert [got(book, 1, as_of_us=instant).revision for instant in instants[:2]] == [1, 2]

    def test_a_correction_of_one_org_or_time_leaves_others_alone(self, book: Book) -> None:
        book.record(Fact(1), Fact(2, org_id="other"), Fact(3, occurred_at=JAN_1 + DAY_US))
        book.void(Fact(2, org_id="other"))
        book.void(Fact(3, occurred_at=JAN_1 + DAY_US))
        assert total(book, end_us=JAN_1 + DAY_US) == {"requests": 1}
        assert total(book) == {"requests": 1}

    # --- lists and look-ups

    def test_newest_come_first_and_ties_fall_by_uid(self, book: Book) -> None:
        book.record(Fact(1, occurred_at=JAN_1 + 5), Fact(3), Fact(2), Fact(4, occurred_at=JAN_1 + 9))
        assert listed(book) == ["event-4", "event-1", "event-3", "event-2"]

    @pytest.mark.parametrize("limit", [1, 2, 3, 7])
    def test_a_walk_is_complete_while_events_arrive_and_change(self, book: Book, limit: int) -> None:
        facts = [Fact(n, occurred_at=JAN_1 + n // 3) for n in range(10)]
        book.record(*facts)
        book.void(facts[6])
        query = EventQuery(ADMIN, limit=limit)
        seen: list[str] = []
        step = 100
        while True:
            page = asking(book).list_events(query)
            seen += [event.event_id for event in page.events]
            if page.next_page is None:
                break
            query = replace(query, page=page.next_page)
            book.record(Fact(step, occurred_at=JAN_1 + 1), Fact(step + 1, occurred_at=JAN_1 + 99))
            if step == 100:
                book.void(facts[0])
                book.amend(facts[1])
            step += 2
        assert seen == [f"event-{n}" for n in (9, 8, 7, 5, 4, 3, 2, 1, 0)]

    def test_a_page_is_full_though_most_newest_are_voided(self, book: Book) -> None:
        facts = [Fact(n, occurred_at=JAN_1 + n) for n in range(30)]
        book.record(*facts)
        for fact in facts[5:]:
            book.void(fact)
        assert listed(book, limit=3) == ["event-4", "event-3", "event-2"]

    @pytest.mark.parametrize("voided", [(), (9, 8, 5, 0)])
    def test_an_offset_passes_over_the_newest_in_force(self, book: Book, voided: tuple[int, ...]) -> None:
        facts = [Fact(n, occurred_at=JAN_1 + n // 3) for n in range(10)]
        book.record(*facts)
        for number in voided:
            book.void(facts[number])
        whole = listed(book)
        assert len(whole) == 10 - len(voided)
        for offset in range(12):
            assert listed(book, limit=2, offset=offset) == whole[offset : offset + 2]
        query = EventQuery(ADMIN, limit=2, offset=3)
        following = asking(book).list_events(query).next_page
        assert listed(book, limit=2, offset=3, page=following) == whole[5:7]

    def test_events_are_found_by_id_source_and_request(self, book: Book) -> None:
        book.record(
            Fact(1, event_id="a"),
            Fact(2, event_id="a", source="litellm"),
            Fact(3, event_id="b", set={"request_id": "a"}),
            Fact(4, event_id="c", source="litellm", set={"request_id": "r"}),
            Fact(5, event_id="a", org_id="other"),
        )

        def found(**fields: Any) -> list[int]:
            events = asking(book).list_events(replace(EventQuery(ADMIN), **fields)).events
            return sorted(int(event.uid[-4:], 16) for event in events)

        assert found(ids=("a",)) == [1, 2]
        assert found(ids=("a",), sources=("",)) == [1]
        assert found(ids=("a", "c"), sources=("litellm",)) == [2, 4]
        assert found(sources=("litellm",)) == [2, 4]
        assert found(request_ids=("a",)) == [1, 2, 3]
        assert found(request_ids=("r", "b")) == [4]
        assert found(request_ids=("a",), ids=("b",)) == [3]
        assert found(request_ids=("nowhere",)) == []
        assert found(request_ids=("a",), reach=Reach("k", None)) == [1, 2, 3, 5]
        assert found(request_ids=tuple(map(str, range(3_000)))) == []

    def test_an_event_shows_what_was_stored(self, book: Book) -> None:
        book.record(
            Fact(
                1,
                cost=None,
                known_cost=3,
                set={
                    "model": "m",
                    "stream": True,
                    "latency_ms": 7,
                    "metadata": '{"a":1}',
                    "input_tokens": 0,
                    "audio_seconds": 1_500_000,
                    "unpriced_units": "audio_seconds,units",
                    "cost_input_tokens": 3,
                    "price_id": "price_1",
                    "matched": "m",
                },
            )
        )
        event = got(book, 1)
        assert event.fields == {
            "source": "",
            "kind": "completion",
            "model": "m",
            "batch": False,
            "background": False,
            "stream": True,
            "metadata": '{"a":1}',
            "latency_ms": 7,
        }
        assert event.usage == {"input_tokens": 0, "audio_seconds": 1_500_000}
        assert (event.pricing, event.cost_pico, event.known_cost_pico) == ("unpriced", None, 3)
        assert event.unpriced_units == ("audio_seconds", "units")
        assert event.lines == {"input_tokens": 3}
        assert (event.price_id, event.matched) == ("price_1", "m")
        assert (event.seq, event.recorded_at_us) == (book.seq, book.recorded_at)

    @pytest.mark.parametrize("uid", ["", "x", "1" * 32, "{00000000-0000-7000-8000-000000000001}", "\0"])
    def test_a_malformed_uid_is_no_event(self, book: Book, uid: str) -> None:
        book.record(Fact(1))
        with pytest.raises(NoSuchEvent):
            asking(book).get_event(ADMIN, uid)
