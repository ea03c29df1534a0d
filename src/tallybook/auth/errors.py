"""Refusals of the auth room, beside those of `core/errors.py`."""

from tallybook.core.errors import Conflict


class KeyFixedBySetting(Conflict):
    """The bootstrap key that the server's settings name is replaced there, not revoked."""

    code = "key_fixed_by_setting"

    def __init__(self) -> None:
        super().__init__("this key is set by TALLYBOOK_ADMIN_KEY; change that setting to replace it")
