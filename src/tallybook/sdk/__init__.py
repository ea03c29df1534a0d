"""The Tallybook client library. Stands alone: it needs httpx and nothing of the server."""

from tallybook.sdk.answers import event_from_answer
from tallybook.sdk.client import Client, EventResult, IngestResult
from tallybook.sdk.errors import APIError, ClientError, Fault, Unreachable

__all__ = [
    "APIError",
    "Client",
    "ClientError",
    "EventResult",
    "Fault",
    "IngestResult",
    "Unreachable",
    "event_from_answer",
]
