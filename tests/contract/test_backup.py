"""Backups over HTTP and as commands: what they are, who may write them, and what a restore refuses."""

import json
import os
import shutil
import tempfile
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.contract.credit_calls import Ledger
from tests.forked import ForkedProcess
from tests.serving import ServerProcess

FILES = {"events.duckdb", "ledger.sqlite", "messages.sqlite", "secret"}


def back_up(client: httpx.Client, name: str, **more: Any) -> httpx.Response:
    return client.post("/v1/backup", json={"name": name, **more})


@pytest.fixture(scope="module")
def backup(server: ServerProcess) -> Path:
    """One with an event, an account and a message in it."""
    with server.client() as admin:
        admin.patch("/v1/orgs/default/settings", json={"store_messages": True}).raise_for_status()
        event = {
            "id": "call-1",
            "user_id": "ana",
            "cost_usd": "0.25",
            "messages": [{"role": "user", "content": "hello"}],
        }
        admin.post("/v1/events", json={"events": [event]}).raise_for_status()
        Ledger(admin).account(100)
        return Path(back_up(admin, "module").raise_for_status().json()["path"])


def said(folder: Path, *words: str | Path) -> tuple[int, str]:
    """Exit code and output of a command."""
    log = folder / "said"
    plain = {name: value for name, value in os.environ.items() if not name.startswith("TALLYBOOK_")}
    code = ForkedProcess(tuple(map(str, words)), plain, log).wait(timeout=60)
    text = log.read_text()
    log.unlink()
    return code, text


def test_a_backup_names_every_file(server: ServerProcess, backup: Path) -> None:
    with server.client() as admin:
        answer = back_up(admin, "nightly")
        (noted,) = admin.get("/v1/audit", params={"action": "backup.begun", "subject": "nightly"}).json()["data"]
        assert noted["actor"]
    assert answer.status_code == 201
    made = answer.json()
    folder = server.data_dir / "backups" / "nightly"
    assert made["path"] == str(folder)
    assert made["counts"]["events"] == 1
    assert made["counts"]["accounts"] == 1
    assert made["files"].keys() - {"events.duckdb.wal"} == FILES
    assert {name: kept["bytes"] for name, kept in made["files"].items()} == {
        path.name: path.stat().st_size for path in folder.iterdir() if path.name != "manifest.json"
    }
    assert folder.stat().st_mode & 0o777 == 0o700
    assert all(path.stat().st_mode & 0o077 == 0 for path in folder.iterdir())
    assert [path.name for path in folder.parent.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("name", ["", "..", ".hidden", "a/b", "/tmp/x", "a" * 101, "ü"])
def test_a_name_is_no_path(server: ServerProcess, name: str) -> None:
    with server.client() as admin:
        answer = back_up(admin, name)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["loc"][-1] == "name"


def test_only_a_backup_is_replaced_and_only_by_force(server: ServerProcess) -> None:
    folder = server.data_dir / "backups"
    (folder / "mine").mkdir(parents=True)
    (folder / "mine" / "letter").write_text("dear")
    (folder / "empty").mkdir()
    with server.client() as admin:
        assert back_up(admin, "empty").status_code == 201
        refused = back_up(admin, "empty")
        assert (refused.status_code, refused.json()["code"]) == (409, "backup_exists")
        assert back_up(admin, "empty", force=True).status_code == 201
        assert back_up(admin, "mine", force=True).status_code == 409
    assert (folder / "mine" / "letter").read_text() == "dear"


def test_one_is_written_at_a_time(server: ServerProcess) -> None:
    statuses: list[int] = []

    def write(number: int) -> None:
        with server.client() as admin:
            statuses.append(back_up(admin, f"at-once-{number}").status_code)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(statuses) <= {201, 503}
    assert 201 in statuses


def test_who_may_not(server: ServerProcess) -> None:
    with server.client() as admin:
        body = {"name": "org", "role": "org_admin"}
        org_admin = admin.post("/v1/keys", json=body).json()["key"]
        reader = admin.post("/v1/keys", json={**body, "role": "cluster_admin", "scopes": ["read"]}).json()["key"]
    for key in (org_admin, reader):
        with server.client(key) as other:
            assert back_up(other, "not-mine").status_code == 403


def test_it_comes_back_whole(backup: Path, tmp_path: Path) -> None:
    data_dir = tmp_path / "new" / "data"
    code, text = said(tmp_path, "restore", backup, "--data-dir", data_dir)
    assert code == 0, text
    assert "1 events" in text
    restored = ServerProcess(data_dir).start()
    with restored.client() as admin:
        (event,) = admin.get("/v1/events").json()["data"]
        assert (event["id"], event["cost_usd"]) == ("call-1", "0.25")
        (logged,) = admin.get("/api/v1/llm/usage/users/ana/completions").json()["completions"]
        assert "hello" in json.dumps(logged)
        assert admin.get("/v1/verify", params={"all_orgs": "true"}).json()["difference"] is None
        refused, text = said(tmp_path, "restore", backup, "--data-dir", data_dir, "--force")
        assert (refused, text) == (1, f"Error: a server holds {data_dir}; stop it first\n")
    restored.stop()


def test_a_data_folder_that_cannot_be_made_is_named(backup: Path, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    code, text = said(tmp_path, "restore", backup, "--data-dir", file / "data")
    assert (code, text) == (1, f"Error: {file / 'data' / 'events.duckdb'}: Not a directory\n")


def test_live_data_is_replaced_by_force_and_kept_aside(backup: Path, tmp_path: Path) -> None:
    live = ServerProcess(tmp_path / "data").start()
    with live.client() as admin:
        admin.post("/v1/events", json={"id": "of before"}).raise_for_status()
    live.stop()
    code, text = said(tmp_path, "restore", backup, "--data-dir", live.data_dir)
    assert code == 1
    assert "is not empty" in text
    code, text = said(tmp_path, "restore", backup, "--data-dir", live.data_dir, "--force")
    assert code == 0, text
    (aside,) = live.data_dir.glob("replaced-*")
    assert str(aside) in text
    for folder, expected in ((live.data_dir, "call-1"), (aside, "of before")):
        server = ServerProcess(folder).start()
        with server.client() as admin:
            assert [event["id"] for event in admin.get("/v1/events").json()["data"]] == [expected]
        server.stop()


def changed(folder: Path, name: str, **fields: Any) -> None:
    path = folder / name
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (lambda folder: (folder / "ledger.sqlite").write_bytes(b"x"), "ledger.sqlite is damaged"),
        (lambda folder: os.truncate(folder / "events.duckdb", 4_096), "events.duckdb is damaged"),
        (lambda folder: (folder / "secret").unlink(), "secret is missing"),
        (lambda folder: (folder / "manifest.json").unlink(), "is no backup: it has no manifest.json"),
        (lambda folder: (folder / "manifest.json").write_text("{"), "manifest.json cannot be read"),
        (lambda folder: changed(folder, "manifest.json", format=2), "was written by a newer release"),
        (
            lambda folder: changed(folder, "manifest.json", files={"../x": {"bytes": 1, "sha256": ""}}),
            "is no file of a backup",
        ),
    ],
)
def test_what_is_not_whole_is_not_restored(backup: Path, tmp_path: Path, harm: Any, reason: str) -> None:
    copy = Path(shutil.copytree(backup, tmp_path / "copy"))
    harm(copy)
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    code, text = said(tmp_path, "restore", copy, "--data-dir", data_dir)
    assert code == 1
    (line,) = text.splitlines()
    assert reason in line
    assert list(data_dir.iterdir()) == []


def test_the_command_moves_it_where_it_is_wanted(server: ServerProcess, tmp_path: Path) -> None:
    wanted = tmp_path / "some" / "where"
    words = ("backup", wanted, "--data-dir", server.data_dir, "--key", "admin-key-of-the-tests")
    code, text = said(tmp_path, *words)
    assert code == 0, text
    assert (wanted / "manifest.json").is_file()
    code, text = said(tmp_path, *words)
    assert (code, "is not empty" in text) == (1, True)
    code, text = said(tmp_path, *words, "--force")
    assert code == 0, text
    assert [path.name for path in wanted.parent.iterdir()] == ["where"]
    stranger = tmp_path / "said.d"
    stranger.mkdir()
    (stranger / "letter").write_text("dear")
    code, text = said(tmp_path, "backup", stranger, *words[2:], "--force")
    assert (code, "is no backup" in text) == (1, True)


def test_the_command_tells_where_it_stays_if_it_cannot_be_moved(server: ServerProcess, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    words = ("backup", file / "nightly", "--data-dir", server.data_dir, "--key", "admin-key-of-the-tests")
    code, text = said(tmp_path, *words)
    assert code == 1
    (line,) = text.splitlines()
    said_first, _, place = line.partition("; the backup stays in ")
    assert said_first == f"Error: {file}: File exists"
    assert (Path(place) / "manifest.json").is_file()


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="this system has no /dev/shm")
def test_the_command_copies_it_to_another_disk(server: ServerProcess, tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as other_disk:
        wanted = Path(other_disk) / "nightly"
        code, text = said(tmp_path, "backup", wanted, "--data-dir", server.data_dir, "--key", "admin-key-of-the-tests")
        assert code == 0, text
        assert [path.name for path in wanted.parent.iterdir()] == ["nightly"]
        assert {path.name for path in wanted.iterdir()} >= FILES
        assert wanted.stat().st_mode & 0o777 == 0o700
        code, text = said(tmp_path, "restore", wanted, "--data-dir", tmp_path / "restored")
        assert code == 0, text


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    server = ServerProcess(tmp_path / "data", backup_dir=tmp_path / "file").start()
    with server.client() as admin:
        answer = back_up(admin, "nightly")
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert str(tmp_path / "file") in answer.json()["detail"]
    server.stop()
