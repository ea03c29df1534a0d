"""The bucket operations of the mka1 dialect: one row each (contract section 9)."""

from collections.abc import Mapping
from dataclasses import dataclass

from tallybook.analytics.query import Dimension
from tallybook.http.mka1.wire import BucketParams, ModelParams


@dataclass(frozen=True)
class Operation:
    """`numbers` maps fields of a result row to measures; `always_null` are fields that never hold a value."""

    path: str
    summary: str
    object: str
    kinds: tuple[str, ...]
    params: type[BucketParams]
    numbers: Mapping[str, str]
    dimensions: tuple[Dimension, ...]
    always_null: tuple[str, ...] = ()


COMPLETIONS = Operation(
    path="/api/v1/llm/usage/completions",
    summary="Chat completion usage in time buckets",
    object="organization.usage.completions.result",
    kinds=("completion",),
    params=ModelParams,
    numbers={
        "input_tokens": "input_tokens",
        "output_tokens": "output_tokens",
        "input_cached_tokens": "cache_read_tokens",
        "num_model_requests": "requests",
    },
    dimensions=(Dimension.USER_ID, Dimension.API_KEY_ID, Dimension.ORG_ID, Dimension.MODEL),
    always_null=("batch", "service_tier", "project_id"),
)

OPERATIONS = (COMPLETIONS,)
