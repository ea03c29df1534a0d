"""Events from providers' answers: what is sent is what tells the usage, never a prompt or what was answered."""

from collections.abc import Mapping, Sequence
from typing import Any

_USAGE = ("usage", "usageMetadata", "usage_metadata", "usage_info", "meta", "tokenUsage", "tool_usage")
_ABOUT = ("id", "object", "type", "model", "modelVersion", "model_version", "service_tier")


def event_from_answer(answer: Any, *, provider: str, **fields: Any) -> dict[str, Any]:
    """An event for `Client.ingest` out of a provider's answer, or the chunks of a streamed one.

    `answer` is what the provider's API or its Python client gave: a mapping, a model with `model_dump`, or a sequence
    of these. `fields` are further fields of the event. The server counts what the answer tells; an answer without usage
    becomes an event whose usage is unreported.
    """
    return {"provider": provider, "provider_response": _telling(answer), **fields}


def _telling(answer: Any) -> Any:
    if hasattr(answer, "model_dump"):
        answer = answer.model_dump()
    if isinstance(answer, Mapping):
        return _telling_fields(answer)
    if isinstance(answer, Sequence) and not isinstance(answer, str | bytes):
        return [_telling(chunk) for chunk in answer]
    raise TypeError(f"an answer must be a mapping, a model or a sequence of these, not {type(answer).__name__}")


def _telling_fields(answer: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: answer[name] for name in (*_ABOUT, *_USAGE) if name in answer}
    if "choices" in answer:  # tells that it is a chat, and now and then its usage
        kept["choices"] = [_telling_fields(choice) for choice in answer["choices"] or () if isinstance(choice, Mapping)]
    for name, part in answer.items():
        if name not in kept and isinstance(part, Mapping) and any(usage in part for usage in _USAGE):
            kept[name] = _telling_fields(part)
    return kept
