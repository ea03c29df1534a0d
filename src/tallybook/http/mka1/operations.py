"""The bucket operations of the mka1 dialect: one row each (contract sections 9.1 to 9.8 and 9.10)."""

from collections.abc import Mapping
from dataclasses import dataclass

from tallybook.analytics.query import Dimension
from tallybook.http.mka1.wire import BucketParams, ModelParams, RangeParams, ResponseParams

_USER_AND_KEY = (Dimension.USER_ID, Dimension.API_KEY_ID)
_USER_KEY_ORG = (*_USER_AND_KEY, Dimension.ORG_ID)
_TOKENS = {"input_tokens": "input_tokens", "output_tokens": "output_tokens"}
_REQUESTS = {"num_model_requests": "requests"}
_MODEL_CALLS = {**_TOKENS, "input_cached_tokens": "cache_read_tokens", **_REQUESTS}


@dataclass(frozen=True)
class Operation:
    """Usage of one kind. `numbers` maps fields of a result row to measures; `dimensions` may be grouped by;
    `always_null` are fields that never hold a value."""

    path: str
    summary: str
    kind: str
    params: type[RangeParams]
    numbers: Mapping[str, str]
    dimensions: tuple[Dimension, ...]
    always_null: tuple[str, ...] = ()

    @property
    def object(self) -> str:
        """What a result row calls itself."""
        service, _, name = self.path.removeprefix("/api/v1/").partition("/usage")
        return f"organization.usage.{name.removeprefix('/') or service}.result"


OPERATIONS = (
    Operation(
        path="/api/v1/llm/usage/completions",
        summary="Chat completion usage in time buckets",
        kind="completion",
        params=ModelParams,
        numbers=_MODEL_CALLS,
        dimensions=(*_USER_KEY_ORG, Dimension.MODEL),
        always_null=("batch", "service_tier", "project_id"),
    ),
    Operation(
        path="/api/v1/llm/usage/responses",
        summary="Usage of the Responses API in time buckets",
        kind="response",
        params=ResponseParams,
        numbers=_MODEL_CALLS,
        dimensions=(*_USER_KEY_ORG, Dimension.MODEL, Dimension.BACKGROUND),
        always_null=("batch", "service_tier", "project_id"),
    ),
    Operation(
        path="/api/v1/llm/usage/conversations",
        summary="Conversation usage in time buckets",
        kind="conversation",
        params=BucketParams,
        numbers={
            "num_conversations_created": "conversations_created",
            "num_items_added": "items_added",
            "num_operations": "operations",
        },
        dimensions=_USER_KEY_ORG,
    ),
    Operation(
        path="/api/v1/llm/usage/embeddings",
        summary="Embedding usage in time buckets",
        kind="embedding",
        params=ModelParams,
        numbers={"input_tokens": "input_tokens", **_REQUESTS},
        dimensions=(*_USER_KEY_ORG, Dimension.MODEL),
        always_null=("project_id",),
    ),
    Operation(
        path="/api/v1/llm/usage/extract",
        summary="Extraction usage in time buckets",
        kind="extract",
        params=ModelParams,
        numbers={**_TOKENS, **_REQUESTS},
        dimensions=(*_USER_AND_KEY, Dimension.MODEL),
    ),
    Operation(
        path="/api/v1/llm/usage/classify",
        summary="Classification usage in time buckets",
        kind="classify",
        params=ModelParams,
        numbers={**_TOKENS, **_REQUESTS},
        dimensions=(*_USER_AND_KEY, Dimension.MODEL),
    ),
    Operation(
        path="/api/v1/llm/usage/vector_stores",
        summary="Vector store usage in time buckets",
        kind="vector_store",
        params=BucketParams,
        numbers={"usage_bytes": "bytes", "num_operations": "operations"},
        dimensions=_USER_AND_KEY,
        always_null=("project_id",),
    ),
    Operation(
        path="/api/v1/llm/usage/files",
        summary="Bytes of created files in time buckets",
        kind="file",
        params=BucketParams,
        numbers={"usage_bytes": "bytes", "num_files_created": "files_created"},
        dimensions=_USER_KEY_ORG,
    ),
    Operation(
        path="/api/v1/sandbox/usage",
        summary="Sandbox usage in time buckets, all of them in one answer",
        kind="sandbox",
        params=RangeParams,
        numbers={
            "num_operations": "operations",
            "num_sessions": "sessions",
            "request_count": "request_count",
            "duration_ms": "duration_ms",
            "workspace_bytes_in": "workspace_bytes_in",
            "workspace_bytes_out": "workspace_bytes_out",
            "files_changed_count": "files_changed",
            "oom_killed_count": "oom_killed",
            "peak_memory_mib": "peak_memory_mib",
            "reserved_memory_mib": "reserved_memory_mib",
        },
        dimensions=(*_USER_KEY_ORG, Dimension.OPERATION, Dimension.PROVIDER, Dimension.SESSION_KIND),
    ),
)
