"""Usage records: what calls used and cost, billed to an account through a transaction or the system's own.

Records are as the server writes them, dollars exact numbers.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Literal

from tallybook.sdk.resource import Record, Resource, without_none

Context = Literal["customer", "system"]
UsageType = Literal["text", "embedding", "audio_stt", "audio_tts"]


class UsageRecords(Resource):
    def record(
        self,
        model_id: str,
        usage_type: UsageType,
        *,
        context: Context = "customer",
        transaction_id: str | None = None,
        account_id: str | None = None,
        external_id: str | None = None,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        cached_tokens: int | None = None,
        audio_seconds: Decimal | int | None = None,
        description: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Record:
        """Keeps a usage, priced now; moves no credits. A customer's needs an account and one of its transactions."""
        wanted = without_none(
            context=context,
            transactionId=transaction_id,
            accountId=account_id,
            externalId=external_id,
            modelId=model_id,
            usageType=usage_type,
            inputTokens=input_tokens,
            outputTokens=output_tokens,
            cachedTokens=cached_tokens,
            audioDurationSeconds=audio_seconds,
            description=description,
            metadata=metadata,
        )
        record: Record = self._write("POST", "/v1/usage/record", wanted)["usageRecord"]
        return record

    def all(self, **filters: str | None) -> Iterator[Record]:
        """Newest first. The `filters` are those of `summary`."""
        return self._offset_pages("/v1/usage", "usageRecords", _query(**filters))

    def summary(self, **filters: str | None) -> Record:
        """Totals, and costs by context and model.

        `filters`: `account_id`, `external_id`, `model_id`, `context`, `usage_type`, `transaction_id`, and `start` and
        `end`, dates or instants that both count.
        """
        summary: Record = self._read("/v1/usage", {**_query(**filters), "summary": "true"})["summary"]
        return summary


def _query(
    *,
    account_id: str | None = None,
    external_id: str | None = None,
    model_id: str | None = None,
    context: str | None = None,
    usage_type: str | None = None,
    transaction_id: str | None = None,
    start: str | None = None,
    end: str | None = None,
) -> Record:
    return without_none(
        accountId=account_id,
        externalId=external_id,
        modelId=model_id,
        context=context,
        usageType=usage_type,
        transactionId=transaction_id,
        startDate=start,
        endDate=end,
    )
