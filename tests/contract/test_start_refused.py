"""Files that are damaged, newer or held: the server says so in one line and does not start, or answers 503."""

import os
import shutil
import socket
import sqlite3
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from tests.conftest import LONG
from tests.contract.credit_calls import Ledger
from tests.forked import ForkedProcess
from tests.serving import ADMIN_KEY, ServerProcess

ACCOUNT = "the account"
FILES = ("events.duckdb", "ledger.sqlite", "messages.sqlite")


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with something in every file."""
    server = ServerProcess(tmp_path_factory.mktemp("stored") / "data").start()
    with server.client() as admin:
        admin.patch("/v1/orgs/default/settings", json={"store_messages": True}).raise_for_status()
        events = [{"id": f"{number}", "user_id": f"user {number}", "cost_usd": "0.01"} for number in range(10_000)]
        said = [{"role": "user", "content": os.urandom(9_000).hex()}]
        admin.post("/v1/events", json={"events": [{**events[0], "messages": said}, *events[1:]]}).raise_for_status()
        account = Ledger(admin).account(100, externalId=ACCOUNT)
        for _ in range(20):
            body = {"accountId": account, "amount": 1, "description": "x" * 500}
            admin.post("/v1/accounts/credits/add", json=body).raise_for_status()
    server.stop()
    return server.data_dir


@pytest.fixture
def data_dir(stored: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(stored, tmp_path / "data"))


def refusal(data_dir: Path) -> str:
    """The one line that `tallybook serve` says before it ends with 1."""
    (line,) = said(data_dir)
    return line


def said(data_dir: Path, host: str = "127.0.0.1", port: int = 0) -> list[str]:
    """All that `tallybook serve` says before it ends with 1."""
    log = data_dir.with_suffix(".said")
    log.unlink(missing_ok=True)
    environment = {"TALLYBOOK_ADMIN_KEY": ADMIN_KEY, "TALLYBOOK_PRICE_CATALOGUE": "false"}
    words = ("serve", "--host", host, "--port", str(port), "--data-dir", str(data_dir))
    process = ForkedProcess(words, environment, log)
    try:
        assert process.wait(timeout=60) == 1
    finally:
        process.send_signal(9)
    return log.read_text().splitlines()


def without_header(whole: bytes) -> bytes:
    return whole[4_096:]


def cut_short(whole: bytes) -> bytes:
    return whole[: len(whole) // 2]


def overwritten(whole: bytes) -> bytes:
    """From a third to two thirds: somewhere in the middle lie only free blocks."""
    third = len(whole) // 3
    return whole[:third] + os.urandom(third) + whole[2 * third :]


def empty(whole: bytes) -> bytes:
    return b""


def text(whole: bytes) -> bytes:
    return b"this is no database\n" * 1_000


DAMAGES = (without_header, cut_short, overwritten, empty, text)
# The short form has every file and every damage.
CASES = [(name, damage) for name in FILES for damage in DAMAGES] if LONG else [
    ("events.duckdb", cut_short), ("events.duckdb", overwritten), ("ledger.sqlite", empty),
    ("ledger.sqlite", overwritten), ("ledger.sqlite", text), ("messages.sqlite", without_header),
]  # fmt: skip


@pytest.mark.parametrize(("name", "damage"), CASES)
def test_a_damaged_file_is_named(data_dir: Path, name: str, damage: Callable[[bytes], bytes]) -> None:
    path = data_dir / name
    path.write_bytes(damage(path.read_bytes()))
    line = refusal(data_dir)
    assert line.startswith(f"Error: {path} is damaged: ")
    assert line.endswith("; restore a backup")


@pytest.mark.parametrize("name", ["events.duckdb", "ledger.sqlite", "secret"])
def test_a_missing_file_is_named_and_not_made_anew(data_dir: Path, name: str) -> None:
    path = data_dir / name
    path.unlink()
    for _ in range(2):
        assert refusal(data_dir).startswith(f"Error: {path} is damaged: it is missing beside ")


def test_an_empty_secret_is_named(data_dir: Path) -> None:
    path = data_dir / "secret"
    path.write_text("\n")
    assert refusal(data_dir) == f"Error: {path} is damaged: it is empty; restore a backup"


@pytest.mark.parametrize("name", FILES)
def test_a_newer_file_is_named(data_dir: Path, name: str) -> None:
    path = data_dir / name
    if name.endswith(".duckdb"):
        with duckdb.connect(str(path)) as store:
            store.execute("UPDATE schema_version SET version = 99")
    else:
        with sqlite3.connect(path) as ledger:
            ledger.execute("PRAGMA user_version = 99")
        ledger.close()
    assert refusal(data_dir).startswith(f"Error: {path} is at version 99; this release knows ")


def test_a_key_that_was_replaced_is_not_kept(data_dir: Path) -> None:
    kept = data_dir / "admin.key"
    kept.write_text("tb_of-before")
    server = ServerProcess(data_dir).start()  # with another one set
    assert not kept.exists()
    server.stop()


def test_the_folder_is_its_owners_alone(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "new").start()
    assert server.data_dir.stat().st_mode & 0o777 == 0o700
    server.stop()


def test_files_are_their_owners_alone_in_a_folder_that_lets_others_in(own_server: ServerProcess) -> None:
    own_server.data_dir.mkdir()
    own_server.data_dir.chmod(0o755)
    with own_server.start().client() as admin:
        admin.post("/v1/events", json={"id": "1"}).raise_for_status()
        files = [path for path in own_server.data_dir.rglob("*") if path.is_file()]
        assert {path.name for path in files} > {*FILES, "events.duckdb.wal", "ledger.sqlite-wal"}
        assert [path.name for path in files if path.stat().st_mode & 0o077] == []


def test_a_second_server_is_refused(data_dir: Path) -> None:
    server = ServerProcess(data_dir).start()
    assert server.process is not None
    held = f"another process holds {data_dir / 'events.duckdb'} (PID {server.process.pid})"
    assert refusal(data_dir) == f"Error: {held}"
    with server.client() as admin:
        assert admin.get("/v1/events", params={"limit": 1}).status_code == 200
    server.stop()


def test_an_address_in_use_is_named_before_anything_is_made(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert said(tmp_path / "new", port=port) == [
            f"Error: cannot listen on 127.0.0.1:{port}: Address already in use"
        ]
    assert not (tmp_path / "new").exists()


def test_an_address_of_another_machine_is_named(tmp_path: Path) -> None:
    (line,) = said(tmp_path / "new", host="192.0.2.1")  # one for documentation (RFC 5737)
    assert line == "Error: cannot listen on 192.0.2.1:0: Cannot assign requested address"


def test_a_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert said(tmp_path / "file") == [f"Error: {tmp_path / 'file'}: File exists"]


def test_a_half_restored_folder_is_refused(data_dir: Path) -> None:
    (data_dir / "restoring").mkdir()
    assert "was not finished" in refusal(data_dir)


@pytest.mark.parametrize(
    ("name", "table", "method", "path"),
    [
        ("events.duckdb", "", "GET", "/v1/usage/query?start=2026-01-01T00:00:00Z&bucket=all&group_by=user_id"),
        ("ledger.sqlite", "transactions", "GET", "/v1/transactions"),
        ("ledger.sqlite", "transactions", "POST", "/v1/accounts/credits/add"),
        ("messages.sqlite", "messages", "GET", "/api/v1/llm/usage/users/user%200/completions"),
    ],
)
def test_damage_that_is_met_later_is_503_and_logged(
    data_dir: Path, name: str, table: str, method: str, path: str
) -> None:
    """A file too large to be read through at the start may be damaged where nobody looked."""
    file = data_dir / name
    file.write_bytes(without_root_of(table, file) if table else overwritten(file.read_bytes()))
    server = ServerProcess(data_dir, start_check_seconds=0).start()
    with server.client() as admin:
        body = {"externalId": ACCOUNT, "amount": 1} if method == "POST" else None
        answer = admin.request(method, path, json=body)
        assert answer.status_code == 503, answer.text
        assert f"the file {name} is damaged" in answer.text
        assert admin.get("/healthz").status_code == 200
    server.stop()
    assert f'"file": "{file}"' in server.log_path.read_text()


def without_root_of(table: str, file: Path) -> bytes:
    """The file with the page overwritten from which SQLite finds every row of a table."""
    with sqlite3.connect(file) as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (table,)).fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    connection.close()
    whole = file.read_bytes()
    return whole[: (page - 1) * size] + os.urandom(size) + whole[page * size :]
