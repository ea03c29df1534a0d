"""Reading a request body within its bound, whatever its encoding: the bound counts inflated bytes, while inflating."""

import re
import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from decimal import Decimal, InvalidOperation
from typing import Any, Protocol

import msgspec
import zstandard

from tallybook.core.errors import MalformedInput, TooLarge

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Headers = list[tuple[bytes, bytes]]


class BodyTooLarge(TooLarge):
    code = "body_too_large"

    def __init__(self, bound: int, unit: str = "bytes") -> None:
        super().__init__(f"the body is larger than {bound} {unit}")


class Disconnected(Exception):
    """The caller hung up before the body was complete."""


def header(headers: Headers, name: bytes) -> str:
    """The first header of that lower-case name, or an empty string."""
    for key, value in headers:
        if key == name:
            return value.decode("latin-1")
    return ""


_AT_BYTE = re.compile(r"\(byte (\d+)\)")
_FIELD_BEFORE = re.compile(rb'"([^"\\]{1,64})"\s*:\s*-?\Z')


def not_json(body: bytes, error: Exception) -> MalformedInput:
    """What to say of a body that `msgspec` cannot read: where, and at which field if it is that field's value."""
    if isinstance(error, RecursionError):
        return MalformedInput("the body is nested too deep")
    if isinstance(error, UnicodeDecodeError):
        return MalformedInput("the body is not UTF-8")
    place = _AT_BYTE.search(str(error))
    end = int(place[1]) if place else 0
    name = _FIELD_BEFORE.search(body, max(0, end - 100), end)
    where = f"{name[1].decode('utf-8', 'replace')}: " if name else ""
    return MalformedInput(f"the body is not JSON: {where}{error}")


NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What `msgspec` raises for such a body."""


def _number(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:  # an exponent beyond 18 digits
        return Decimal("Infinity")


decode_any = msgspec.json.Decoder(float_hook=_number).decode
"""Any JSON: numbers with a fraction or exponent are `Decimal`s. Raises what `NOT_JSON` names."""


def read_json(body: bytes) -> Any:
    """As `decode_any`, of UTF-8 alone. Raises `MalformedInput`."""
    try:
        body.decode()
        return decode_any(body)
    except NOT_JSON as error:
        raise not_json(body, error) from None


async def read_body(receive: Receive, headers: Headers, bytes_max: int) -> bytes:
    """The whole body, inflated (gzip, zstd). Raises `BodyTooLarge`, `MalformedInput` or `Disconnected`."""
    message = await receive()
    encoding = header(headers, b"content-encoding").strip().lower()
    if encoding in ("", "identity") and not message.get("more_body", False):
        return _whole(message, bytes_max)
    decoder = _decoder(encoding)
    chunks: list[bytes] = []
    room = bytes_max
    while True:
        chunk = decoder.inflate(_chunk(message), room + 1)
        room -= len(chunk)
        if room < 0:
            raise BodyTooLarge(bytes_max)
        chunks.append(chunk)
        if not message.get("more_body", False):
            decoder.finish()
            return b"".join(chunks)
        message = await receive()


def _whole(message: MutableMapping[str, Any], bytes_max: int) -> bytes:
    body = _chunk(message)
    if len(body) > bytes_max:
        raise BodyTooLarge(bytes_max)
    return body


def _chunk(message: MutableMapping[str, Any]) -> bytes:
    if message["type"] == "http.disconnect":
        raise Disconnected
    body: bytes = message.get("body", b"")
    return body


class _Decoder(Protocol):
    def inflate(self, chunk: bytes, bytes_max: int) -> bytes:
        """What `chunk` adds to the body; may stop once more than `bytes_max` bytes are there."""
        ...

    def finish(self) -> None:
        """Raises `MalformedInput` when the compressed stream is not complete."""
        ...


class _Plain:
    def inflate(self, chunk: bytes, bytes_max: int) -> bytes:
        return chunk

    def finish(self) -> None:
        pass


class _Gzip:
    def __init__(self) -> None:
        self._stream = zlib.decompressobj(wbits=31)

    def inflate(self, chunk: bytes, bytes_max: int) -> bytes:
        try:
            inflated = self._stream.decompress(chunk, bytes_max)
        except zlib.error:
            raise MalformedInput("the body is not valid gzip") from None
        if self._stream.unused_data:  # at once: the stream would keep whatever follows, without a bound
            raise MalformedInput("the gzip body has data behind its end")
        return inflated

    def finish(self) -> None:
        if not self._stream.eof:
            raise MalformedInput("the gzip body is cut off")


# Bytes handed to zstd at a time: even made of nothing but four-byte runs of 128 KiB they inflate to 8 MiB at most.
_FED = 256


class _Zstd:
    def __init__(self) -> None:
        # A frame may ask for a window of gigabytes; 8 MiB is what the standard asks every decoder to support.
        self._stream = zstandard.ZstdDecompressor(max_window_size=2**23).decompressobj()

    def inflate(self, chunk: bytes, bytes_max: int) -> bytes:
        # decompressobj has no output bound: feeding a few bytes at a time keeps a bomb from exploding.
        out = bytearray()
        try:
            for start in range(0, len(chunk), _FED):
                out += self._stream.decompress(chunk[start : start + _FED])
                if len(out) > bytes_max:
                    break
        except zstandard.ZstdError:
            raise MalformedInput("the body is not valid zstd") from None
        return bytes(out)

    def finish(self) -> None:
        if not self._stream.eof:
            raise MalformedInput("the zstd body is cut off")


def _decoder(encoding: str) -> _Decoder:
    match encoding:
        case "" | "identity":
            return _Plain()
        case "gzip" | "x-gzip":
            return _Gzip()
        case "zstd":
            return _Zstd()
    raise MalformedInput(f"content encoding {encoding!r} is not offered; gzip and zstd are")
