"""Models, their prices, and what a call would cost (contract section 10)."""

import asyncio
from typing import Any

from tallybook.core.errors import NotFound
from tallybook.http.credits.convert import pagination, to_slice_if_asked
from tallybook.http.credits.models_wire import (
    Calculated,
    CalculateWanted,
    ModelList,
    ModelsAsked,
    model_shown,
    rates_shown,
    to_quantities,
    to_usage_type,
)
from tallybook.http.credits.money import to_wire_usd
from tallybook.http.credits.operations import Answer, Call, Operation
from tallybook.http.credits.streams import listed
from tallybook.pricing.listing import Model
from tallybook.pricing.service import PricingService
from tallybook.settlement.errors import UnknownModel
from tallybook.settlement.quantities import charged_of, told_of
from tallybook.settlement.recording import cost_of


class Models:
    def __init__(self, pricing: PricingService) -> None:
        self._pricing = pricing
        self.operations: list[Operation[Any]] = [
            Operation(
                "GET", "/v1/models", "list_models", "List models with their prices, or one model",
                ModelsAsked, ModelList, self._list,
            ),
            Operation(
                "POST", "/v1/models/calculate", "calculate_cost", "What a call would cost; nothing is stored",
                CalculateWanted, Calculated, self._calculate,
            ),
        ]  # fmt: skip

    async def _list(self, call: Call[ModelsAsked]) -> Answer:
        asked = call.wanted
        if asked.model_id is not None:
            return self._one(call.org_id, asked.model_id)
        found = await asyncio.to_thread(self._pricing.list_models, call.org_id)
        models = [model for model in found if _is_asked_for(model, asked)]
        page = to_slice_if_asked(asked)
        if page is None:
            return listed(b'{"success":true,"models":[', map(model_shown, models), b"]}")
        shown = [model_shown(model) for model in models[page.offset : page.offset + page.limit]]
        return ModelList(shown, pagination=pagination(page, len(shown), len(models)))

    def _one(self, org_id: str, model_id: str) -> ModelList:
        model = self._pricing.find_model(org_id, model_id)
        if model is None:
            raise NotFound(f"no price is in force for a model {model_id!r}")
        return ModelList(model=model_shown(model))

    async def _calculate(self, call: Call[CalculateWanted]) -> Calculated:
        wanted = call.wanted
        told = told_of(to_usage_type(wanted), to_quantities(wanted), model=wanted.model_id)
        estimate = self._pricing.estimate(call.org_id, wanted.model_id, charged_of(told.kind, told.usage))
        if estimate is None:
            raise UnknownModel(wanted.model_id)
        return Calculated(
            model_id=wanted.model_id,
            model_name=estimate.model.title,
            estimated_cost_usd=to_wire_usd(cost_of(estimate.rating, wanted.model_id)),
            pricing=rates_shown(estimate.rates),
        )


def _is_asked_for(model: Model, asked: ModelsAsked) -> bool:
    """Letter case never matters."""
    provider, tier = asked.provider, asked.tier
    if provider is not None and provider.lower() != (model.provider or "").lower():
        return False
    return tier is None or tier.lower() == model.tier
