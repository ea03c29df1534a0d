"""The server under measurement, in a process of its own, with a no-op beside the real routes.

The no-op is a raw ASGI endpoint behind the same gateway and the same key check; it reads the body and answers 204.
"""

import json
import multiprocessing
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from pydantic import SecretStr

from tallybook.data_folder import open_data_folder
from tallybook.http.body import read_body
from tallybook.http.protocol import Protocol
from tallybook.server import tune_process
from tallybook.settings import Settings
from tallybook.wiring import build

KEY = "bench-admin-key-0123456789"
NOOP = "/noop"


@contextmanager
def running(data_dir: Path, **settings: Any) -> Iterator[tuple[int, int]]:
    """Serves `data_dir`; yields port and process id; stops cleanly at the end."""
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(data_dir, settings))
    process.start()
    try:
        yield _await_port(data_dir / "bench.port"), process.pid or 0
    finally:
        process.terminate()
        process.join()
        (data_dir / "bench.port").unlink(missing_ok=True)


def rss_mib(pid: int, figure: str = "VmRSS") -> float:
    """Resident memory now, or with `VmHWM` the most of it so far."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{figure}:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"no {figure}")


def cpu_seconds(pid: int) -> float:
    """Processor time that the process has used."""
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def settings_of(data_dir: Path, **settings: Any) -> Settings:
    return Settings(data_dir=data_dir, admin_key=SecretStr(KEY), port=0, **settings)


def _serve(data_dir: Path, settings: dict[str, Any]) -> None:
    configured = settings_of(data_dir, **settings)
    holder: dict[str, Any] = {}
    tune_process()

    async def noop(scope: Any, receive: Any, send: Any) -> None:
        holder["gate"].admit(scope["headers"], "POST", "/v1/events")
        await read_body(receive, scope["headers"], configured.body_bytes_max)
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    tallybook = build(open_data_folder(configured), more_raw_routes={NOOP: {"POST": noop}})
    holder["gate"] = tallybook.gate

    class Server(uvicorn.Server):
        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            draft = data_dir / "bench.port.new"
            draft.write_text(json.dumps(self.servers[0].sockets[0].getsockname()[1]))
            draft.replace(data_dir / "bench.port")

    Server(
        uvicorn.Config(
            tallybook.app,
            port=0,
            loop="uvloop",
            http=Protocol,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            lifespan="on",
        )
    ).run()
    tallybook.close()


def _await_port(path: Path) -> int:
    for _ in range(3000):
        if path.exists():
            return int(path.read_text())
        time.sleep(0.01)
    raise RuntimeError("the server did not start")
