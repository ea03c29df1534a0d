"""What is written at once leaves at once, and nothing stays behind."""

import asyncio
from collections.abc import Callable

import pytest

from tallybook.http.protocol import _Joining


class Sent(asyncio.Transport):
    """A transport that notes each call that would be one of the system."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[bytes | str] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.calls.append(bytes(data))

    def close(self) -> None:
        self.calls.append("close")


@pytest.mark.parametrize(
    ("steps", "calls"),
    [
        (lambda joining: (joining.write(b"head"), joining.write(b"body")), [b"headbody"]),
        (lambda joining: (joining.write(b"head"), joining.write(b"")), [b"head"]),
        (lambda joining: joining.write(b"head"), [b"head"]),
        (lambda joining: [joining.write(part) for part in (b"1", b"2", b"3", b"4", b"5")], [b"12", b"34", b"5"]),
        (lambda joining: (joining.write(b"head"), joining.close()), [b"head", "close"]),
    ],
    ids=["two", "an empty one", "one alone", "many", "closed"],
)
def test_writes_are_joined(steps: Callable[[_Joining], object], calls: list[bytes | str]) -> None:
    async def run() -> list[bytes | str]:
        sent = Sent()
        steps(_Joining(sent))
        await asyncio.sleep(0)
        return sent.calls

    assert asyncio.run(run()) == calls
