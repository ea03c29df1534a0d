"""Query parameters of the mka1 dialect, in every encoding its clients use (contract sections 3, 9 and 10.1)."""

from collections.abc import Iterable, Sequence
from typing import Annotated, Literal, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    Field,
    ValidationError,
)

from tallybook.analytics.query import BUCKETS_MAX
from tallybook.core.errors import Fault, InvalidInput
from tallybook.http.query_params import INTEGER_MAX, OFFERED, Integer, TimeParams, by_name, is_list
from tallybook.http.wire_model import WireModel, faults_of

Params = TypeVar("Params", bound=BaseModel)


def _parts(values: list[str]) -> list[str]:
    return [part for value in values for part in value.split(",") if part]


Texts = list[str]
Names = Annotated[Texts, BeforeValidator(_parts), OFFERED]
"""Dimension names, repeated or joined by commas. Ids are never split: they may hold any character."""

SecondsSince1970 = Annotated[int, Field(ge=0, le=INTEGER_MAX)]


class RangeParams(TimeParams):
    """Operation 10, and what operations 1 to 8 share with it."""

    start_time: Integer = Field(description="First second of the range; moved down to a bucket's start.")
    end_time: Integer | None = Field(None, description="The second after the range, moved up; now by default.")
    bucket_width: Literal["1m", "1h", "1d"] = "1d"
    all_orgs: bool = Field(False, description="Every organization; cluster admins only.")
    org_ids: Texts = Field([], description="These organizations; cluster admins only.")
    group_by: Names = Field([])


class BucketParams(RangeParams):
    """Operations 1 to 8."""

    limit: int | None = Field(None, ge=1, le=BUCKETS_MAX, description="Buckets of a page; 60, 24 or 7 by default.")
    page: str | None = Field(None, description="next_page of the page before.")
    user_ids: Texts = Field([], description="Platform users or delegated end users.")
    external_user_ids: Texts = Field([], description="Delegated end users.")


class ModelParams(BucketParams):
    """Operations whose usage has a model."""

    models: Texts = Field([], description="Exact model names.")


class ResponseParams(ModelParams):
    """Operation 2."""

    background: bool | None = Field(None, description="Only background responses, or only others.")


class CostParams(TimeParams):
    """Operation 11."""

    start_time: Integer = Field(description="First second of the range.")
    end_time: Integer = Field(description="The second after the range.")
    org_id: str | None = Field(None, description="This organization; another than one's own: cluster admins only.")
    group_by: Names = Field([])


class LlmCostParams(CostParams):
    """Operation 9."""

    start_time: SecondsSince1970 = Field(description="First second of the range.")
    end_time: SecondsSince1970 = Field(description="The second after the range.")


class StatsParams(WireModel):
    """Operation 12."""

    startDate: str | None = Field(None, description="First instant, or the first day in UTC; ISO 8601.")
    endDate: str | None = Field(None, description="Last instant, or the last day in UTC; ISO 8601.")


def parse(model: type[Params], pairs: Iterable[tuple[str, str]], dimensions: Sequence[str] = ()) -> Params:
    """Reads decoded query pairs; `dimensions` may be grouped by. Raises `InvalidInput` with every fault.

    Repeated keys, `key[]` and `key[0]` are lists; empty values are absent; unknown keys are ignored.
    """
    values = by_name(pair for pair in pairs if pair[1])
    scalars = [name for name in model.model_fields if name in values and not is_list(model, name)]
    repeated = [Fault(("query", name), "must be given once") for name in scalars if len(values[name]) > 1]
    lists = {name: values[name] for name in model.model_fields if name in values and is_list(model, name)}
    try:
        params = model.model_validate({**lists, **{name: values[name][0] for name in scalars}}, context=dimensions)
    except ValidationError as error:
        raise InvalidInput([*repeated, *faults_of(error, "query")]) from None
    if repeated:
        raise InvalidInput(repeated)
    return params
