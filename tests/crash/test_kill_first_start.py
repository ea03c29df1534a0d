"""`kill -9` while the files of a new data folder are being made: the next start makes what is missing."""

from pathlib import Path

import pytest

from tests.forked import ForkedProcess
from tests.serving import ServerProcess

FILES = ("events.duckdb", "ledger.sqlite", "messages.sqlite")


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("moment", ["new-*/{}", "{}"], ids=["begun", "there"])
def test_killed_as_a_file_is_made(tmp_path: Path, file: str, moment: str) -> None:
    data_dir, log = tmp_path / "data", tmp_path / "first.log"
    first = ForkedProcess(("serve", "--port", "0", "--data-dir", str(data_dir)), {}, log)
    while not any(data_dir.glob(moment.format(file))) and not (data_dir / "server.json").exists():
        assert first.poll() is None, log.read_text()
    first.send_signal(9)
    first.wait(60)
    server = ServerProcess(data_dir).start()
    assert not any(data_dir.glob("new-*"))
    with server.client() as admin:
        assert admin.post("/v1/events", json={"id": "1"}).raise_for_status().json()["inserted"] == 1
    server.stop()
