"""Published versions of `meetkai-mka1`, each in an interpreter of its own.

The newest is a dependency of the tests. Older ones contradict it and each other, so each has an environment in
`.cache/clients`, made when it is first used from the pins in `meetkai-mka1-<version>.txt`, which are from
`uv pip compile --universal`.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
UV = Path(sys.executable).with_name("uv")
NEWEST = version("meetkai-mka1")

_UNREACHABLE = re.compile(r"error sending request|network (was|connectivity is) disabled|timed out", re.IGNORECASE)


class Refused(Exception):
    """What the client raised: the name of its exception, and what it shows of the answer."""

    def __init__(self, error: str, status: int | None, body: str, data: Any) -> None:
        self.error = error
        self.status = status
        self.body = body
        self.data = data
        super().__init__(f"{error} {status}: {body}")


class Client:
    """One version of the client at work. Not for several threads."""

    def __init__(self, number: str, process: subprocess.Popen[str]) -> None:
        self.number = number
        self._process = process

    @property
    def release(self) -> tuple[int, ...]:
        return tuple(map(int, self.number.split(".")))

    def call(self, url: str, key: str | None, method: str, *, is_async: bool = False, **query: Any) -> Any:
        """The answer as the client took it, as plain data. Raises `Refused`."""
        assert self._process.stdin
        assert self._process.stdout
        call = {"url": url, "key": key, "method": method, "query": query, "is_async": is_async}
        print(json.dumps(call), file=self._process.stdin, flush=True)
        outcome = json.loads(self._process.stdout.readline())
        if "answer" not in outcome:
            raise Refused(**outcome)
        return outcome["answer"]


@contextmanager
def client(number: str) -> Iterator[Client]:
    command = [interpreter(number), HERE / "mka1_calls.py"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Client(number, process)
        assert process.stdin
        process.stdin.close()


def interpreter(number: str) -> Path:
    """Of an environment with that version. Skips the test, saying so, if the index of packages cannot be reached."""
    if number == NEWEST:
        return Path(sys.executable)
    folder = ROOT / ".cache" / "clients" / f"meetkai-mka1-{number}"
    python = folder / "bin" / "python"
    if not python.exists():
        _uv("venv", "--python", sys.executable, str(folder))
    pins = HERE / f"meetkai-mka1-{number}.txt"
    done = _uv("pip", "sync", "--python", str(python), str(pins), check=False)
    if done.returncode and _UNREACHABLE.search(done.stderr):
        pytest.skip(f"meetkai-mka1 {number} is not tested: the index of packages cannot be reached")
    assert done.returncode == 0, done.stderr
    return python


def _uv(*words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return subprocess.run([UV, "--quiet", *words], capture_output=True, text=True, check=check, cwd=ROOT)
