"""Models, what they cost, and what a call would cost. Records are as the server writes them, dollars exact numbers."""

from decimal import Decimal

from tallybook.sdk.resource import Record, Resource, without_none


class Models(Resource):
    def all(self, *, provider: str | None = None, tier: str | None = None) -> list[Record]:
        """Every model that has a price now, by provider and id."""
        models: list[Record] = self._read("/v1/models", without_none(provider=provider, tier=tier))["models"]
        return models

    def get(self, model_id: str) -> Record:
        """What usage that names this model is charged as."""
        model: Record = self._read("/v1/models", {"modelId": model_id})["model"]
        return model

    def calculate(
        self,
        model_id: str,
        *,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        cached_tokens: int | None = None,
        audio_seconds: Decimal | int | None = None,
        usage_type: str | None = None,
    ) -> Record:
        """`estimatedCostUsd` of such a call now, and the rates it is made of; nothing is stored."""
        wanted = without_none(
            modelId=model_id,
            inputTokens=input_tokens,
            outputTokens=output_tokens,
            cachedTokens=cached_tokens,
            audioDurationSeconds=audio_seconds,
            usageType=usage_type,
        )
        return self._write("POST", "/v1/models/calculate", wanted)
