"""Models that a dialect parses by itself, unseen by the framework."""

from pydantic import BaseModel, ConfigDict


class Parsed(BaseModel):
    """Built when it is first used, by one thread at a time: it takes a millisecond or two, and no start uses any."""

    model_config = ConfigDict(defer_build=True)
