"""The secret text of a key: how it is made, recognised and hashed. `docs/decisions/0002-keys.md` says why."""

import base64
import hashlib
import re
import zlib

SALT_BYTES = 32
_PREFIX = "tb_"
_MADE = re.compile(r"tb_([A-Za-z0-9_-]{43})([A-Za-z0-9_-]{6})")


class KeyTexts:
    """Derives and hashes key texts under the server's secret."""

    def __init__(self, secret: bytes) -> None:
        self._text_secret = hashlib.blake2b(secret, digest_size=32, person=b"key text").digest()
        self._hash_secret = hashlib.blake2b(secret, digest_size=32, person=b"key hash").digest()

    def derive(self, salt: bytes) -> str:
        """The text that belongs to a salt of `SALT_BYTES` random bytes: prefix, 256 bits, checksum."""
        body = _base64(hashlib.blake2b(salt, digest_size=32, key=self._text_secret).digest())
        return _PREFIX + body + _checksum(body)

    def hash(self, text: str) -> bytes:
        """What is stored of a text: 32 bytes, from which it cannot be found without the server's secret."""
        return hashlib.blake2b(text.encode(), digest_size=32, key=self._hash_secret).digest()


def is_mistyped(text: str) -> bool:
    """Whether a text has the form of a key made here but not its checksum."""
    made = _MADE.fullmatch(text)
    return made is not None and _checksum(made[1]) != made[2]


def hint_of(text: str) -> str:
    """The first characters of a text, too few to help guessing the rest."""
    return text[: min(8, len(text) // 4)]


def _checksum(body: str) -> str:
    return _base64(zlib.crc32(body.encode()).to_bytes(4))


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
