"""Nothing that callers can send, ask for or meet is undocumented."""

import importlib
import pkgutil
import re
from collections.abc import Iterator
from dataclasses import fields

import pytest

import tallybook
from tallybook.analytics.query import MEASURES, Dimension
from tallybook.auth.key import Role, Scope
from tallybook.core.counters import COUNTERS, PARTS, Aggregate
from tallybook.core.errors import Conflict, Insufficient, TallybookError, Unavailable
from tallybook.core.time_window import Bucket
from tallybook.http.access import ACCESS
from tallybook.http.credits import models_wire, plans_wire, usage_shown, usage_told, wire
from tallybook.http.credits.errors import ANSWERS as CREDIT_ANSWERS
from tallybook.http.metrics import Metrics
from tallybook.http.mka1.errors import ANSWERS
from tallybook.http.mka1.operations import OPERATIONS
from tallybook.http.native import amendment_wire, repricing
from tallybook.http.native.errors import STATUS
from tallybook.http.native.event_wire import FIXED, WireEvent
from tallybook.http.native.events_read import EventsParams
from tallybook.http.native.filters import Filters
from tallybook.http.native.keys import KeyShown, KeyWanted
from tallybook.http.native.orgs import OrgWanted
from tallybook.http.native.prices_wire import (
    CandidateShown,
    ChangeShown,
    DailyWanted,
    DiffQuery,
    DiffShown,
    Matched,
    PriceQuery,
    PriceWanted,
    RateWanted,
    ResolutionShown,
    ResolveQuery,
    SyncShown,
    TierWanted,
)
from tallybook.http.native.usage import UsageParams
from tallybook.http.openai import operations as openai_operations
from tallybook.http.openai.errors import ANSWERS as OPENAI_ANSWERS
from tallybook.http.openai.wire import CostParams
from tallybook.http.usage_log import wire as usage_log_wire
from tallybook.http.usage_log.errors import STATUS as USAGE_LOG_STATUS
from tallybook.ledger.model import Status, Type
from tallybook.orgs.model import OrgSettings
from tallybook.pricing.match import Match
from tallybook.pricing.price import Mode, Origin
from tests.docs import pages

EVENTS = "docs/reference/events.md"
USAGE = "docs/reference/usage-query.md"
ADMIN = "docs/reference/keys-orgs-prices.md"
ERRORS = "docs/reference/errors.md"
CREDITS = "docs/reference/credits.md"
MKA1 = "docs/guides/mka1.md"
CORRECTIONS = "docs/reference/corrections.md"
USAGE_LOG = "docs/reference/usage-log.md"
OPENAI = "docs/guides/openai.md"
SYNC = "### The catalogue: `POST /v1/prices/sync`, `GET /v1/prices/diff`"
OWN = {"object"}  # what every answer has
OPERATE = "docs/guides/operate.md"


def first_cells(name: str, heading: str) -> set[str]:
    """The names in the first column of the tables under a heading."""
    return {word for row in pages.rows(pages.section(pages.read(name), heading)) for word in pages.codes(row[0])}


def test_every_route_is_named() -> None:
    """`ACCESS` is the list of routes: another test holds it against the app."""
    everything = pages.everything()
    missing = [f"{method} {path}" for method, path in ACCESS if f"`{method} {path}`" not in everything]
    assert missing == []


def test_the_routes_of_the_admin_page_have_their_rights() -> None:
    said = {}
    for row in pages.rows(pages.section(pages.read(ADMIN), "## Who may do what")):
        if len(row) == 3 and row[0].startswith("`") and "/" in row[0]:
            said.update(dict.fromkeys(pages.codes(row[0]), (row[1].strip("`"), row[2].strip(" |`"))))
    for (method, path), access in ACCESS.items():
        scope = "public" if access.public else access.scope or "any"
        assert said[f"{method} {path}"] == (scope, "" if access.public else access.role)


def test_every_event_field_has_a_row() -> None:
    assert first_cells(EVENTS, "### Fields") == set(WireEvent.__struct_fields__)


def test_every_counter_has_a_row_that_says_how_it_counts() -> None:
    said: dict[str, tuple[str, str, str]] = {}
    for names, kind, billable, aggregate, _ in pages.rows(pages.section(pages.read(EVENTS), "### Counters"))[1:]:
        said.update(dict.fromkeys(pages.codes(names), (kind.partition(";")[0], billable, aggregate)))
    assert said == {
        name: (
            "decimal" if counter.is_decimal else "whole",
            "yes" if counter.billable else "no",
            "maximum" if counter.aggregate is Aggregate.MAX else "sum",
        )
        for name, counter in COUNTERS.items()
    }


def test_every_part_of_a_total_is_called_one() -> None:
    rows = pages.rows(pages.section(pages.read(EVENTS), "### Counters"))
    called = {name for row in rows if row[-1].startswith(("part of", "parts of")) for name in pages.codes(row[0])}
    assert called == {part for groups in PARTS.values() for group in groups for part in group}


def test_every_parameter_of_the_event_list_is_named() -> None:
    own = set(EventsParams.model_fields) - set(Filters.model_fields)
    assert own <= first_cells(EVENTS, "## Listing: `GET /v1/events`")


def test_every_parameter_of_a_query_is_named() -> None:
    page = pages.codes(pages.read(USAGE))
    assert set(UsageParams.model_fields) <= page
    assert {bucket.value for bucket in Bucket} <= page


def test_every_dimension_and_measure_is_named() -> None:
    page = pages.read(USAGE)
    assert pages.codes(pages.section(page, "## Dimensions")) == set(Dimension)
    assert set(MEASURES) <= pages.codes(pages.section(page, "## Measures"))


@pytest.mark.parametrize(
    ("heading", "names"),
    [
        ("## Who may do what", {*Role, *Scope}),
        ("## Keys", {*KeyWanted.model_fields, *KeyShown.model_fields} - {"object"}),
        ("## Orgs", set(OrgWanted.model_fields)),
        ("## Prices", {*PriceWanted.model_fields, *RateWanted.model_fields, *TierWanted.model_fields, *Mode, *Match}),
        ("## Prices", {field.alias or name for name, field in DailyWanted.model_fields.items()} | {*Origin}),
        ("## Prices", set(PriceQuery.model_fields) - {"limit", "page"}),
        (
            "### Which price: `GET /v1/prices/resolve`",
            {*ResolveQuery.model_fields, *ResolutionShown.model_fields} - OWN,
        ),
        ("### Which price: `GET /v1/prices/resolve`", {*Matched.model_fields, *CandidateShown.model_fields}),
        (SYNC, {*SyncShown.model_fields, *DiffShown.model_fields, *DiffQuery.model_fields} - OWN),
        (SYNC, set(ChangeShown.model_fields)),
    ],
)
def test_keys_orgs_and_prices_are_described_in_full(heading: str, names: set[str]) -> None:
    assert names <= pages.codes(pages.section(pages.read(ADMIN), heading))


def test_every_org_setting_has_a_row_with_its_default() -> None:
    table = pages.rows(pages.section(pages.read(ADMIN), "### Settings of an org"))[1:]
    said = {row[0].strip("`"): row[1].strip("`") for row in table}
    record = OrgSettings().to_record()
    plain = {name: str(value).lower() for name, value in record.items()}
    assert said == {field.name: plain[field.name] for field in fields(OrgSettings)}


def error_kinds() -> Iterator[type[TallybookError]]:
    """Every error of every room and dialect."""
    for module in pkgutil.walk_packages(tallybook.__path__, "tallybook."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    waiting = TallybookError.__subclasses__()
    while waiting:
        kind = waiting.pop()
        waiting.extend(kind.__subclasses__())
        if kind.__module__.startswith("tallybook."):
            yield kind


def test_every_error_code_has_a_row_with_its_status() -> None:
    told = {(kind.code, next(STATUS[base] for base in kind.__mro__ if base in STATUS)) for kind in error_kinds()}
    said = {(row[0].strip("`"), int(row[1])) for row in pages.rows(pages.read(ERRORS))[1:]}
    assert said == told


def test_every_error_of_mka1_has_its_status_and_code() -> None:
    errors = pages.section(pages.read(MKA1), "## Errors")
    for status, code in ANSWERS.values():
        assert str(status) in errors
        assert status in (401, 429) or code in errors


def test_every_operation_of_mka1_is_described() -> None:
    page = pages.read(MKA1)
    for operation in OPERATIONS:
        assert f"`GET {operation.path}`" in page
        named = {*operation.params.model_fields, *operation.numbers, *operation.dimensions, *operation.always_null}
        assert named <= pages.codes(page)


def test_every_operation_of_openai_is_described() -> None:
    page = pages.read(OPENAI)
    codes = pages.codes(page)
    for operation in openai_operations.OPERATIONS:
        named = {*operation.params.model_fields, *operation.numbers, *operation.groups, *operation.kinds}
        assert named <= codes, operation.name
        assert operation.object in codes
        for width, (default, most) in operation.params.LIMITS.items():
            assert [f"`{width}`", str(default), f"{most:,}".replace(",", " ")] in pages.rows(page)
    assert {*CostParams.model_fields, *openai_operations.COST_GROUPS, openai_operations.COSTS_OBJECT} <= codes


def test_every_error_of_openai_has_its_status_type_and_code() -> None:
    said: set[tuple[int, str, str | None]] = {
        (int(row[0]), row[1].strip("`"), code)
        for row in pages.rows(pages.section(pages.read(OPENAI), "## Errors"))[1:]
        for code in (pages.codes(row[2]) or [None])
    }
    assert set(OPENAI_ANSWERS.values()) <= said


CREDIT_FORMS = (
    *(wire.AccountWanted, wire.AddWanted, wire.DeductWanted, wire.TransactionWanted, wire.ReservationWanted),
    *(wire.ConfirmWanted, wire.CancelWanted, wire.ExtendWanted, wire.TransactionsAsked, wire.ReservationsAsked),
    *(wire.AccountShown, wire.BalanceShown, wire.TransactionShown, wire.ReservationShown, wire.Pagination),
    *(wire.Added, wire.Deducted, wire.Confirmed, wire.Cancelled, wire.EstimateWanted, usage_told.RecordWanted),
    *(plans_wire.PlanWanted, plans_wire.ArchiveWanted, plans_wire.AssignWanted, plans_wire.UnassignWanted),
    *(plans_wire.PlanShown, plans_wire.AccountPlanShown, plans_wire.PlanAssigned),
    *(usage_shown.UsageAsked, usage_shown.SummaryShown, usage_shown.UsageOfModel, wire.UsageRecordShown),
    *(models_wire.ModelsAsked, models_wire.CalculateWanted, models_wire.Calculated),
    *(models_wire.ModelShown, models_wire.ModelPricing, models_wire.Rates),
)


def test_every_field_of_credits_is_named() -> None:
    page = set(re.findall(r"\w+", pages.read(CREDITS)))
    # `external_id` is taken for the sake of other pages' spelling, and no name of ours.
    named = {name for form in CREDIT_FORMS for name in form.__struct_encode_fields__} - {"external_id"}
    assert named <= page
    assert {*Status, *Type} <= page


def test_every_error_of_credits_has_its_status_and_code() -> None:
    said = {(int(row[0]), code) for row in pages.rows(pages.section(pages.read(CREDITS), "## Errors"))[1:]
            for code in pages.codes(row[1])}  # fmt: skip
    own = {kind: kind.code for kind in error_kinds()}
    told = {
        (status, code or own[kind])
        for kind, (status, code) in CREDIT_ANSWERS.items()
        if kind not in (Insufficient, Unavailable)
    }
    assert told <= said
    assert {(402, kind.code) for kind in Insufficient.__subclasses__()} <= said
    reasons = pages.codes(pages.section(pages.read(CREDITS), "## Errors"))
    assert {kind.code for kind in Conflict.__subclasses__() if kind.__module__ == "tallybook.ledger.errors"} <= reasons


def test_every_field_and_error_of_the_usage_log_is_described() -> None:
    page = pages.read(USAGE_LOG)
    forms = (usage_log_wire.RecordWanted, usage_log_wire.RecordChanges)
    named = {*usage_log_wire.UsageRecord.__struct_fields__, *(name for form in forms for name in form.model_fields)}
    assert named <= pages.codes(page)
    said = {status for row in pages.rows(pages.section(page, "## Errors"))[1:] for status in row[0].split(", ")}
    assert said == {str(status) for status in USAGE_LOG_STATUS.values()}


CORRECTION_FORMS = (amendment_wire.AmendWanted, amendment_wire.CorrectionWanted, amendment_wire.RefundableWanted)


def test_every_field_of_a_correction_is_described() -> None:
    named = {name for form in CORRECTION_FORMS for name in form.model_fields}
    page = pages.section(pages.read(CORRECTIONS), "## Amend, void, restore")
    assert named | FIXED - {"messages"} <= pages.codes(page)


def test_bulk_corrections_and_explanations_are_described() -> None:
    page = pages.read(CORRECTIONS)
    many = pages.codes(pages.section(page, "## Many at once: `POST /v1/events/reprice`"))
    assert {*repricing.RepriceWanted.model_fields, *repricing.UndoWanted.model_fields} <= many
    assert {*repricing.BulkCorrection.model_fields, *repricing.DifferenceShown.model_fields} - OWN <= many
    assert set(repricing.RepriceFilter.model_fields) - set(Filters.model_fields) <= many


def test_every_metric_is_named() -> None:
    metrics = Metrics()
    exposed = set(re.findall(r"^# TYPE (tallybook_\w+) (?:counter|histogram)$", metrics.exposition().decode(), re.M))
    wired = set(re.findall(r'"(tallybook_\w+)"', (pages.ROOT / "src/tallybook/wiring/app.py").read_text()))
    assert exposed | wired == {name for name in pages.codes(pages.read(OPERATE)) if name.startswith("tallybook_")}


def test_every_link_leads_somewhere() -> None:
    for page in pages.pages():
        for target in re.findall(r"\]\((?!https?:)([^)#]*)(#[^)]*)?\)", page.read_text()):
            path = page if not target[0] else page.parent / target[0]
            assert path.exists(), f"{page.name}: {target[0]}"
            if target[1]:
                assert target[1] in anchors(path.read_text()), f"{page.name}: {''.join(target)}"


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {"#" + re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
