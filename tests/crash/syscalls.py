"""Runs a command and writes down what it asks of the kernel about requests, answers and flushes, in their true order.

    python syscalls.py LOG COMMAND …

A line of the log is `request <first line>` when one was read from a socket, `flush <file>` when an fsync or fdatasync
has succeeded, and `answer <first line>` before one is written to a socket. Needs nothing but Linux (5.3 or newer) and
the right to trace a child; ends with `UNSUPPORTED` where that is refused.
"""

import ctypes
import os
import platform
import signal
import struct
import sys
from pathlib import Path

UNSUPPORTED = 77

_TRACEME, _SYSCALL, _SETOPTIONS, _SYSCALL_INFO = 0, 24, 0x4200, 0x420E
_SYSGOOD, _FOLLOW, _EXITKILL = 1, 2 | 4 | 8 | 16, 0x100000
_ENTRY, _EXIT = 1, 2
_SYSCALL_STOP = signal.SIGTRAP | 0x80
_WALL = 0x40000000

_NUMBERS = {
    "x86_64": {
        0: "read",
        1: "write",
        20: "writev",
        44: "sendto",
        45: "recvfrom",
        74: "fsync",
        75: "fdatasync",
    },
    "aarch64": {
        63: "read",
        64: "write",
        66: "writev",
        82: "fsync",
        83: "fdatasync",
        206: "sendto",
        207: "recvfrom",
    },
}
NAMES = _NUMBERS.get(platform.machine(), {}) if sys.platform == "linux" else {}
"""The calls of interest by their number on this machine; empty where tracing is not supported."""


class _Info(ctypes.Structure):
    """`struct ptrace_syscall_info` of linux/ptrace.h: `values` are number and arguments, or the result."""

    _fields_ = (
        ("op", ctypes.c_uint8),
        ("pad", ctypes.c_uint8 * 3),
        ("arch", ctypes.c_uint32),
        ("instruction", ctypes.c_uint64),
        ("stack", ctypes.c_uint64),
        ("values", ctypes.c_int64 * 7),
    )


class Tracer:
    """Follows one process with all its threads and children."""

    def __init__(self, log: Path) -> None:
        self._log = log.open("w", buffering=1)
        self._ptrace = ctypes.CDLL(None, use_errno=True).ptrace
        self._ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)
        self._ptrace.restype = ctypes.c_long
        self._entered: dict[int, tuple[str, int, int]] = {}
        """Thread -> the call it is in: name, file descriptor, address of the buffer."""

    def run(self, command: list[str]) -> int:
        """The exit code of the command, or minus the signal that ended it."""
        child = os.fork()
        if child == 0:
            if self._ptrace(_TRACEME, 0, None, None) != 0:
                os._exit(UNSUPPORTED)
            os.kill(os.getpid(), signal.SIGSTOP)
            os.execvp(command[0], command)
        signal.signal(signal.SIGTERM, lambda *_: os.kill(child, signal.SIGTERM))
        _, status = os.waitpid(child, _WALL)
        if not os.WIFSTOPPED(status):
            return UNSUPPORTED
        self._ptrace(_SETOPTIONS, child, None, _SYSGOOD | _FOLLOW | _EXITKILL)
        self._go_on(child, 0)
        return self._follow(child)

    def _follow(self, child: int) -> int:
        known = {child}
        while True:
            thread, status = os.waitpid(-1, _WALL)
            if not os.WIFSTOPPED(status):
                if thread == child:
                    return os.waitstatus_to_exitcode(status)
                continue
            number = os.WSTOPSIG(status)
            if number == _SYSCALL_STOP:
                self._note(thread)
                number = 0
            elif status >> 16 or (number == signal.SIGSTOP and thread not in known):
                number = 0  # the tracing's own stops, not signals for the process
            known.add(thread)
            self._go_on(thread, number)

    def _go_on(self, thread: int, signal_number: int) -> None:
        self._ptrace(_SYSCALL, thread, None, signal_number)

    def _note(self, thread: int) -> None:
        info = _Info()
        self._ptrace(_SYSCALL_INFO, thread, ctypes.sizeof(info), ctypes.addressof(info))
        if info.op == _ENTRY and info.values[0] in NAMES:
            call = (NAMES[info.values[0]], info.values[1], info.values[2])
            self._entered[thread] = call
            self._note_entry(thread, *call)
        elif info.op == _EXIT and thread in self._entered:
            self._note_exit(thread, *self._entered.pop(thread), info.values[0])

    def _note_entry(self, thread: int, name: str, descriptor: int, address: int) -> None:
        if name in ("write", "writev", "sendto") and _target(thread, descriptor).startswith("socket:"):
            if name == "writev":
                (address,) = struct.unpack("Q", _memory(thread, address, 8))
            self._say("answer", _first_line(thread, address, 100))

    def _note_exit(self, thread: int, name: str, descriptor: int, address: int, result: int) -> None:
        if name in ("fsync", "fdatasync") and result == 0:
            self._say("flush", _target(thread, descriptor))
        elif name in ("read", "recvfrom") and result > 0 and _target(thread, descriptor).startswith("socket:"):
            self._say("request", _first_line(thread, address, min(result, 100)))

    def _say(self, what: str, detail: str) -> None:
        self._log.write(f"{what} {detail}\n")


def _target(thread: int, descriptor: int) -> str:
    try:
        return os.readlink(f"/proc/{thread}/fd/{descriptor}")
    except OSError:
        return ""


def _first_line(thread: int, address: int, length: int) -> str:
    return _memory(thread, address, length).split(b"\r\n")[0].decode("latin-1")


def _memory(thread: int, address: int, length: int) -> bytes:
    with open(f"/proc/{thread}/mem", "rb", buffering=0) as memory:
        memory.seek(address)
        return memory.read(length)


if __name__ == "__main__":
    sys.exit(Tracer(Path(sys.argv[1])).run(sys.argv[2:]))
