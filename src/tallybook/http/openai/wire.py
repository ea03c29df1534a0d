"""Query parameters of the openai dialect, in every spelling its clients use (contract section 3)."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, ClassVar, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, ValidationInfo, field_validator

from tallybook.core.errors import Fault, InvalidInput
from tallybook.http.query_params import OFFERED, Cursor, Integer, TimeParams, by_name, is_list
from tallybook.http.wire_model import faults_of

MISSING = "Field required"
ABOVE = "be less than or equal to"
"""In the message of a number above its maximum."""

Params = TypeVar("Params", bound="OrganizationParams")


def _parts(values: list[str]) -> list[str]:
    return [part for value in values for part in value.split(",")]


def _named(values: list[str]) -> list[str]:
    if "" in values:
        raise ValueError("must not be empty")
    return values


Whole = Annotated[list[str], AfterValidator(_named)]
"""Values that may hold commas."""

Ids = Annotated[list[str], BeforeValidator(_parts), AfterValidator(_named)]
"""Values, repeated or joined by commas."""


class OrganizationParams(TimeParams):
    """What every operation takes. `LIMITS` are the default and the highest number of buckets by their width."""

    LIMITS: ClassVar[Mapping[str, tuple[int, int]]]

    start_time: Integer = Field(description="First Unix second of the range.")
    end_time: Integer | None = Field(None, description="The second after the range; now by default.")
    bucket_width: str
    limit: Integer | None = None
    page: Cursor = Field(None, description="`next_page` of the page before.")
    group_by: Annotated[list[str], BeforeValidator(_parts), OFFERED] = Field(
        [], description="One result per combination."
    )
    project_ids: Ids = Field([], description="These projects only.")

    @field_validator("limit")
    @classmethod
    def _within_bounds(cls, limit: int | None, info: ValidationInfo) -> int | None:
        if limit is None or "bucket_width" not in info.data:
            return limit
        _, most = cls.LIMITS[info.data["bucket_width"]]
        if limit > most:
            raise ValueError(f"Invalid limit provided: {limit}. Limit must {ABOVE} {most}.")
        if limit < 1:
            raise ValueError(f"Invalid limit provided: {limit}. Limit must be greater than or equal to 1.")
        return limit

    @property
    def buckets(self) -> int:
        """How many buckets the page has at most."""
        return self.limit or self.LIMITS[self.bucket_width][0]


class UsageParams(OrganizationParams):
    LIMITS: ClassVar = {"1m": (60, 1440), "1h": (24, 168), "1d": (7, 31)}

    bucket_width: Literal["1m", "1h", "1d"] = "1d"
    limit: Integer | None = Field(
        None, description="Buckets of a page: 60, 24 or 7 by default, 1440, 168 or 31 at most, by their width."
    )


class KeyParams(UsageParams):
    user_ids: Ids = Field([], description="These users only.")
    api_key_ids: Ids = Field([], description="These keys only.")


class ModelParams(KeyParams):
    models: Ids = Field([], description="These models only.")


class CallParams(ModelParams):
    batch: bool | None = Field(None, description="Only batch work, or only the rest.")


class ImageParams(ModelParams):
    sizes: Ids = Field([], description="Images of these sizes only.")
    sources: Ids = Field([], description="`image.generation`, `image.edit`, `image.variation`.")


class FileSearchParams(KeyParams):
    vector_store_ids: Ids = Field([], description="These vector stores only.")


class WebSearchParams(ModelParams):
    context_levels: Ids = Field([], description="`low`, `medium`, `high`.")


class CostParams(OrganizationParams):
    LIMITS: ClassVar = {"1d": (7, 180)}

    bucket_width: Literal["1d"] = "1d"
    limit: Integer | None = Field(None, description="Buckets of a page: 7 by default, 180 at most.")
    api_key_ids: Ids = Field([], description="These keys only.")
    line_items: Whole = Field([], description="Whole line items, such as `gpt-4o, input_tokens`; never split.")


_FORMS = (CallParams, ImageParams, FileSearchParams, WebSearchParams, CostParams)
_ANYWHERE = {name for form in _FORMS for name in form.model_fields}


def parse(model: type[Params], pairs: Iterable[tuple[str, str]], groups: Sequence[str]) -> Params:
    """Reads decoded query pairs; `groups` may be grouped by. Raises `InvalidInput` with every fault.

    Repeated keys, `key[]` and `key[0]` are lists. Unknown keys are ignored, but not those that would narrow the answer
    of another operation.
    """
    values = by_name(pairs)
    names = set(model.model_fields)
    faults = [Fault(("query", name), "is not offered here") for name in values if name in _ANYWHERE - names]
    sent = {name: values[name] if is_list(model, name) else values[name][-1] for name in names & values.keys()}
    try:
        params = model.model_validate(sent, context=groups)
    except ValidationError as error:
        faults += faults_of(error, "query")
    if faults:
        raise InvalidInput(faults)
    return params
