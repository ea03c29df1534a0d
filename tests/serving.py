"""A real server process on a real data folder, as the tests see it from outside."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx

from tests.forked import ForkedProcess

ADMIN_KEY = "admin-key-of-the-tests"


class ServerProcess:
    """`tallybook serve` on a free port. Start it, stop it, kill it, start it again on the same data.

    `start` forks a process that has all modules loaded; `start_command` runs the command as a shell would.
    """

    def __init__(self, data_dir: Path, **settings: object) -> None:
        self.data_dir = data_dir
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("TALLYBOOK_")},
            "TALLYBOOK_ADMIN_KEY": ADMIN_KEY,
            "TALLYBOOK_PRICE_CATALOGUE": "false",
            **{f"TALLYBOOK_{name.upper()}": str(value) for name, value in settings.items()},
        }
        self._words = ("serve", "--port", "0", "--data-dir", str(data_dir))
        self._address_file = data_dir / "server.json"
        self.log_path = data_dir.parent / f"{data_dir.name}.log"
        self.process: ForkedProcess | subprocess.Popen[bytes] | None = None
        self.url = ""

    def start(self) -> "ServerProcess":
        self._address_file.unlink(missing_ok=True)
        self.process = ForkedProcess(self._words, self._environment, self.log_path)
        return self._listening()

    def start_command(self, *prefix: str) -> "ServerProcess":
        self._address_file.unlink(missing_ok=True)
        command = [*prefix, sys.executable, "-m", "tallybook", *self._words]
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(command, env=self._environment, stdout=log, stderr=log)
        return self._listening()

    def kill(self) -> None:
        """`kill -9`: no handler runs, nothing is flushed."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """SIGTERM, as a supervisor would."""
        self._end(signal.SIGTERM)

    def client(self, key: str = ADMIN_KEY, **options: Any) -> httpx.Client:
        return httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {key}"}, timeout=30, **options)

    def _end(self, number: signal.Signals) -> None:
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(timeout=60)
            self.process = None

    def _listening(self) -> "ServerProcess":
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if self.process is None or self.process.poll() is not None:
                raise AssertionError(f"the server ended early:\n{self.log_path.read_text()}")
            try:
                self.url = json.loads(self._address_file.read_text())["url"]
                return self
            except (FileNotFoundError, ValueError):
                time.sleep(0.02)
        raise AssertionError("the server did not start within a minute")
