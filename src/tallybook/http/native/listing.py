"""Lists of the native dialect: `limit` and an opaque `page` in, `has_more` and `next_page` out."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from tallybook.core.errors import invalid
from tallybook.core.paging import BadCursor, Cursors


def _without_control_characters(text: str) -> str:
    if any(ord(character) < 32 or 127 <= ord(character) < 160 for character in text):
        raise ValueError("must not contain control characters")
    return text


ShortText = Annotated[str, StringConstraints(min_length=1, max_length=255), AfterValidator(_without_control_characters)]
"""Names and ids as callers choose them."""


class PageQuery(BaseModel):
    """Unknown parameters are refused: a mistyped filter would widen the answer."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(100, ge=1, le=1000, description="Most rows of a page.")
    page: str | None = Field(None, description="`next_page` of the page before.")


def position(cursors: Cursors, question: str, page: str | None) -> list[int | str] | None:
    """Where the page starts; None for the first. Raises `InvalidInput` for a cursor of another list."""
    if page is None:
        return None
    try:
        return cursors.open(question, page)
    except BadCursor as fault:
        raise invalid("query", "page", msg=str(fault)) from None
