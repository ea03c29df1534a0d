"""Cursors: opaque URL-safe text that only the server that made it can read back.

A cursor carries a position and the fingerprint of the question it belongs to, so that the pages of one walk fit
together. It is sealed with a keyed hash: damaged, foreign or hand-made cursors are refused.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Sequence

_SEAL_BYTES = 12
CURSOR_CHARS_MAX = 512


class BadCursor(ValueError):
    """Damaged, made elsewhere, or belonging to another question."""


class Cursors:
    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def seal(self, question: str, position: Sequence[int | str]) -> str:
        """A cursor for `position` within `question` (any text that names query, filters and caller scope).

        A position is a few numbers and short ids: at most some 300 bytes of JSON fit into a cursor.
        """
        payload = json.dumps(list(position), separators=(",", ":"), ensure_ascii=False).encode()
        return base64.urlsafe_b64encode(self._mac(question, payload) + payload).decode().rstrip("=")

    def open(self, question: str, cursor: str) -> list[int | str]:
        """The position sealed for this same question. Raises `BadCursor`."""
        try:
            if len(cursor) > CURSOR_CHARS_MAX or not cursor.isascii():
                raise ValueError
            sealed = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        except ValueError:
            raise BadCursor("is not a cursor of this server") from None
        mac, payload = sealed[:_SEAL_BYTES], sealed[_SEAL_BYTES:]
        if not hmac.compare_digest(mac, self._mac(question, payload)):
            raise BadCursor("is damaged or belongs to another query")
        position: list[int | str] = json.loads(payload)
        return position

    def _mac(self, question: str, payload: bytes) -> bytes:
        text = b"%d:%b%b" % (len(question), question.encode(), payload)
        return hashlib.blake2b(text, key=self._secret[:64], digest_size=_SEAL_BYTES, person=b"cursor").digest()
