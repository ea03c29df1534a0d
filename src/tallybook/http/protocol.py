"""How a request comes in, within bounds that uvicorn leaves to a proxy; and how an answer leaves: its head and its body
together, which uvicorn writes apart, at the cost of another system call and another packet."""

import asyncio
from collections.abc import Sized
from typing import Any, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_BYTES_MAX = 64 * 2**10
"""Of a head, or of what stands around the bytes of a body; not counting the packet that it begins in."""


_OF_UPGRADES = (b"connection", b"upgrade", b"http2-settings")


class Protocol(HttpToolsProtocol):
    """uvicorn's, on a transport that joins what is written at once.

    A request that asks for another protocol is read as if it did not: some clients ask for HTTP/2 with their first one.
    The parser would leave out its body, and take it for the next request.
    """

    _head_bytes = 0
    _in_head = True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn itself
        super().connection_made(cast(asyncio.Transport, _Joining(transport)))
        self.flow = _Flow(self.transport, self.pipeline)

    def data_received(self, data: bytes) -> None:
        self._in_head = True
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except HttpParserError:
            self.send_400_response("Invalid HTTP request received.")
        except HttpParserUpgrade as end:
            head = self._without_upgrade()
            self.parser = HttpRequestParser(self)  # the one before is done with the connection
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
            self.data_received(head + data[end.args[0] :])
        self._head_bytes = self._head_bytes + len(data) if self._in_head else 0
        if self._head_bytes > HEAD_BYTES_MAX and not self.transport.is_closing():
            self.send_400_response("The head of the request is too long.")

    def _without_upgrade(self) -> bytes:
        """The head that was read, as if it asked for no other protocol."""
        kept = [pair for pair in self.headers if pair[0] not in _OF_UPGRADES]
        if not self.parser.should_keep_alive():
            kept.append((b"connection", b"close"))
        fields = b"".join(b"%b: %b\r\n" % pair for pair in kept)
        return b"%b %b HTTP/1.1\r\n%b\r\n" % (self.parser.get_method(), self.url, fields)

    def on_headers_complete(self) -> None:
        if self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT":
            return
        super().on_headers_complete()
        self._in_head = False
        # Trailers would join the headers, and name a key or an end user past a proxy that keeps callers from doing so.
        self.headers = []

    def on_body(self, body: bytes) -> None:
        self._in_head = False
        super().on_body(body)

    def on_message_complete(self) -> None:
        if not self.parser.should_upgrade():
            super().on_message_complete()


class _Flow(FlowControl):
    """Reads on once no request waits for its turn: uvicorn would read more of them after each that it answers."""

    def __init__(self, transport: asyncio.Transport, waiting: Sized) -> None:
        super().__init__(transport)
        self._waiting = waiting

    def resume_reading(self) -> None:
        if not self._waiting:
            super().resume_reading()


class _Joining:
    """Holds a write back until the next one, and no longer than for this turn of the loop."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._call_soon = asyncio.get_running_loop().call_soon
        self._held = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if self._held:
            held, self._held = self._held, b""
            self._transport.writelines([held, data])
        else:
            self._held = data
            self._call_soon(self._flush)

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._held:
            held, self._held = self._held, b""
            self._transport.write(held)
