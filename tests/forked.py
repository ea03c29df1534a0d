"""Servers forked off a process that has loaded all their modules: a start for a quarter of its processor time."""

import multiprocessing
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tallybook.cli.main", "tallybook.cli.serve", "tallybook.server", "tallybook.wiring"])


class ForkedProcess:
    """The command line `tallybook` in a process that is none of ours to wait for; else as `subprocess.Popen`."""

    def __init__(self, words: Sequence[str], environment: Mapping[str, str], log_path: Path) -> None:
        self._process = _CONTEXT.Process(target=_run, args=(words, environment, log_path), daemon=True)
        self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self.returncode

    def wait(self, timeout: float) -> int:
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired("tallybook", timeout)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            os.kill(self.pid, number)


def _run(words: Sequence[str], environment: Mapping[str, str], log_path: Path) -> None:
    os.environ.clear()
    os.environ.update(environment)
    with log_path.open("ab") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    from tallybook.cli.main import main

    main(words)
