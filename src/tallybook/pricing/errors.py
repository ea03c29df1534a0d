"""Refusals of the pricing room."""

from tallybook.core.errors import Conflict, Unavailable


class PriceExists(Conflict):
    code = "price_exists"

    def __init__(self, price_id: str) -> None:
        super().__init__(f"the price {price_id} is for the same models from the same instant; supersede it")


class AlreadySuperseded(Conflict):
    code = "price_superseded"

    def __init__(self, price_id: str) -> None:
        super().__init__(f"the price {price_id} is already superseded by another")


class CatalogueUnreadable(Unavailable):
    """The installed catalogue cannot be used; what is recorded stays in force."""

    code = "catalogue_unreadable"
