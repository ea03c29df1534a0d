"""What ends a command from outside: an output that cannot be written, Ctrl-C."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner

from tallybook.cli.main import main
from tests.unit.cli.fake_server import KEY, FakeServer

PROGRAM = [sys.executable, "-c", "from tallybook.cli.main import main; main()"]
FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")


@contextmanager
def serving(body: bytes) -> Iterator[str]:
    """The address of a server that answers every GET with `body`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def into_full(*words: str) -> tuple[int, str]:
    """Exit code and stderr of a command whose output goes to a full disk."""
    with FULL.open("wb") as full:
        done = subprocess.run([*PROGRAM, *words], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    return done.returncode, done.stderr


@needs_full
@pytest.mark.parametrize("size", [3, 3_000_000])
def test_an_export_that_cannot_be_written(size: int) -> None:
    with serving(b"x" * size) as url:
        told = into_full("export", "--url", url, "--key", "k")
    assert told == (1, "Error: cannot write to standard output: No space left on device\n")


@needs_full
@pytest.mark.parametrize("words", [("--help",), ("usage", "--help")])
def test_help_that_cannot_be_written(words: tuple[str, ...]) -> None:
    assert into_full(*words) == (1, "Error: cannot write to standard output: No space left on device\n")


@needs_full
def test_a_table_that_cannot_be_written() -> None:
    with serving(b'{"data": [], "has_more": false, "next_page": null}') as url:
        told = into_full("usage", "--url", url, "--key", "k")
    assert told == (1, "Error: cannot write to standard output: No space left on device\n")


def test_ctrl_c() -> None:
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as silent:
        url = f"http://127.0.0.1:{silent.server_port}"
        process = subprocess.Popen([*PROGRAM, "usage", "--url", url, "--key", "k"], stderr=subprocess.PIPE, text=True)
        silent.socket.accept()  # the command waits for an answer now
        os.kill(process.pid, signal.SIGINT)
        _, told = process.communicate()
    assert (process.returncode, told) == (1, "\nAborted!\n")


@needs_full
def test_a_summary_that_cannot_be_written_is_no_fault_of_the_imported_file(fake: FakeServer, tmp_path: Path) -> None:
    trace = tmp_path / "trace.csv"
    trace.write_text("occurred_at,input_tokens\n1700158623,1\n")
    told = into_full("import", str(trace), "--url", fake.url, "--key", KEY)
    assert told == (1, "Error: cannot write to standard output: No space left on device\n")
    assert len(fake.stored) == 1


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    beneath_a_file = tmp_path / "file" / "events.csv"
    beneath_a_file.parent.touch()
    with serving(b"x") as url:
        words = ["export", "--output", str(beneath_a_file), "--url", url, "--key", "k"]
        result = CliRunner().invoke(main, words)
    assert (result.exit_code, result.output) == (1, f"Error: {beneath_a_file}.partial: Not a directory\n")


def test_an_export_into_a_pipe_leaves_it_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with serving(b"x") as url:
        result = CliRunner().invoke(main, ["export", "--output", str(pipe), "--url", url, "--key", "k"])
    assert result.exit_code == 0, result.output
    assert pipe.is_fifo()
    assert os.read(reader, 2) == b"x"
    os.close(reader)


def test_an_export_over_a_link_leaves_the_link(tmp_path: Path) -> None:
    link, file = tmp_path / "link", tmp_path / "file"
    link.symlink_to(file)
    with serving(b"x") as url:
        result = CliRunner().invoke(main, ["export", "--output", str(link), "--url", url, "--key", "k"])
    assert result.exit_code == 0, result.output
    assert link.is_symlink()
    assert file.read_bytes() == b"x"


def test_a_file_that_cannot_be_read_is_named(fake: FakeServer) -> None:
    memory = "/proc/self/mem"  # fails at its first byte
    if not Path(memory).exists():
        pytest.skip(f"this system has no {memory}")
    result = CliRunner().invoke(main, ["import", memory, "--format", "csv", "--url", fake.url, "--key", KEY])
    assert (result.exit_code, result.output) == (1, f"Error: {memory}: Input/output error\n")


@pytest.mark.parametrize(
    "words",
    [
        ("serve", "--host", ""),
        ("serve", "--data-dir", ""),
        ("--data-dir", "", "usage"),
        ("usage", "--data-dir", ""),
        ("restore", "backup", "--data-dir", ""),
        ("restore", "", "--data-dir", "data"),
        ("backup", ""),
        ("export", "--output", ""),
    ],
)
def test_an_empty_word_is_neither_the_current_folder_nor_every_address(words: tuple[str, ...]) -> None:
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 2
    assert "it is empty" in result.output.splitlines()[-1]
