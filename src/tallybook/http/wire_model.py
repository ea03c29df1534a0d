"""The base of answers, and of what a dialect reads by itself."""

from pydantic import BaseModel, ConfigDict


class WireModel(BaseModel):
    """Built by one thread when it is first used, in a millisecond or two: no start needs any of some sixty.

    Not for what the framework reads: built late, it makes pydantic warn of what the framework adds to it.
    """

    model_config = ConfigDict(defer_build=True)
