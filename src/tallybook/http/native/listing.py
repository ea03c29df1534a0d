"""Lists of the native dialect: `limit` and an opaque `page` in, `has_more` and `next_page` out."""

from pydantic import BaseModel, ConfigDict, Field

from tallybook.core.errors import invalid
from tallybook.core.paging import BadCursor, Cursors


class KnownQuery(BaseModel):
    """Unknown parameters are refused: a mistyped filter would widen the answer."""

    model_config = ConfigDict(extra="forbid")


class PageQuery(KnownQuery):
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
