"""The server process: settings in, one listening server, a clean end."""

import gc
import json
import logging
import os
import socket
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import uvicorn
from pydantic import BaseModel, ConfigDict

from tallybook.backups.errors import NotRestorable
from tallybook.backups.restore import Restored, put_in_place
from tallybook.core.errors import StorageDamaged, TallybookError
from tallybook.core.failpoints import kill_at
from tallybook.data_folder import open_data_folder
from tallybook.files import ADDRESS, ADMIN_KEY, file_fault
from tallybook.http.protocol import Protocol
from tallybook.log import configure_log
from tallybook.settings import BadSettings, Settings, read_settings
from tallybook.storage.duckdb.held import is_held
from tallybook.storage.migrations import CannotOpen
from tallybook.storage.private_file import write_private

if TYPE_CHECKING:
    from tallybook.wiring import Tallybook

log = logging.getLogger("tallybook.server")


class CannotStart(Exception):
    """Why the server does not start, in one line."""


def run(given: Mapping[str, Any]) -> None:
    """Serves until SIGTERM or SIGINT, then answers what is in flight, commits it, and returns.

    `given` settings win over the environment. Raises `CannotStart`.
    """
    settings = _settings(given)
    _check_address(settings.host, settings.port)
    tallybook = _opened(settings)
    server = _Server(tallybook, settings)
    tune_process()
    try:
        server.run()
    except SystemExit:  # so uvicorn ends if the address was taken in the meantime, having logged why
        raise CannotStart(f"cannot listen on {settings.host}:{settings.port}") from None
    finally:
        gc.unfreeze()  # else the interpreter cannot tidy up at its end, and extension modules complain of leaks
        tallybook.close()


def _check_address(host: str, port: int) -> None:
    """Before anything is written, so that a start on a port that is taken leaves nothing behind."""
    try:
        for family, *_, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            _bind_once(family, address)
    except OSError as error:
        raise CannotStart(f"cannot listen on {host}:{port}: {error.strerror}") from None


def _bind_once(family: socket.AddressFamily, address: Any) -> None:
    """As the server will: it leaves out a family that the machine lacks, and IPv6 does not stand for IPv4."""
    try:
        probe = socket.socket(family)
    except OSError:
        return
    with probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family is socket.AF_INET6:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        probe.bind(address)


def restore(backup: Path, data_dir: Path, *, force: bool) -> Restored:
    """Puts a backup into a data folder, delivers what its outbox holds as `run` does, and closes it.

    Raises `CannotStart`; see `backups.restore.put_in_place`.
    """
    try:
        restored = put_in_place(backup, data_dir, is_held, force=force)
    except NotRestorable as error:
        raise CannotStart(str(error)) from error
    except OSError as error:
        raise CannotStart(file_fault(error)) from error
    tallybook = _opened(_settings({"data_dir": data_dir, "price_catalogue": False, "admin_key": None}))
    tallybook.close()
    if not tallybook.is_caught_up():
        raise CannotStart("not all usage of the ledger reached the event store; the next start tries again")
    return restored


def _opened(settings: Settings) -> "Tallybook":
    configure_log(settings.log_level)
    # What is written is its owner's alone, also in a folder that was there before and lets others in.
    os.umask(0o077)
    # Opening files takes many short turns, each of which would wait for whoever loads modules.
    sys.setswitchinterval(0.0002)
    try:
        with ThreadPoolExecutor(1) as beside:
            folder = beside.submit(open_data_folder, settings, reach=kill_at(os.environ.get("TALLYBOOK_FAILPOINT")))
            # Only now, as it loads the web framework and all rooms, for about as long as the files take.
            _load_framework()
            from tallybook.wiring import build

            return build(folder.result())
    except StorageDamaged as error:
        raise CannotStart(f"{error.path} is damaged: {error.why}; restore a backup") from error
    except (CannotOpen, NotRestorable, TallybookError) as error:
        raise CannotStart(str(error)) from error
    except OSError as error:
        raise CannotStart(file_fault(error)) from error


def _load_framework() -> None:
    """Its models of an OpenAPI document take a tenth of a start to build: whoever asks for one first waits for them.

    Those of requests are built with their routes: pydantic warns of what the framework adds to one that is built late.
    """
    BaseModel.model_config = ConfigDict(defer_build=True)
    import_module("fastapi")
    BaseModel.model_config = ConfigDict()


def tune_process() -> None:
    """Makes the cycle collector rare: requests make few cycles and very many objects, and it would visit them all.

    What a start made is left out for good: there is hardly any garbage in it, and to look for that takes a tenth of the
    start. Threads take turns every millisecond, so that the writer gets its turns while a large batch is being read.
    """
    sys.setswitchinterval(0.001)
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    gc.enable()


def _settings(given: Mapping[str, Any]) -> Settings:
    try:
        return read_settings(given)
    except BadSettings as error:
        raise CannotStart(str(error)) from None


class _Server(uvicorn.Server):
    """Tells where it listens: people on the terminal, other commands in `<data_dir>/server.json`."""

    def __init__(self, tallybook: "Tallybook", settings: Settings) -> None:
        self._tallybook = tallybook
        self._settings = settings
        self._address_file = settings.data_dir / ADDRESS
        super().__init__(
            uvicorn.Config(
                tallybook.app,
                host=settings.host,
                port=settings.port,
                loop="uvloop",
                http=Protocol,
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=settings.drain_seconds,
            )
        )

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Ends the serving only: uvicorn would repeat the signal afterwards, before the files are closed."""
        super().handle_exit(sig, frame)
        self._captured_signals.clear()

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        if not self.started:
            return
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        _greet(url, self._tallybook, self._settings)
        self._tell_commands(url)  # last: whoever waits for the file finds the greeting there too

    def _tell_commands(self, url: str) -> None:
        try:
            write_private(self._address_file, json.dumps({"url": url, "pid": os.getpid()}))
        except OSError as error:  # on a full disk there is still much to read
            self._address_file.unlink(missing_ok=True)
            log.warning("commands must be told where the server is", extra={"url": url, "reason": str(error)})

    async def shutdown(self, sockets: Any = None) -> None:
        await super().shutdown(sockets)
        self._address_file.unlink(missing_ok=True)


def _greet(url: str, tallybook: "Tallybook", settings: Settings) -> None:
    key_file = settings.data_dir / ADMIN_KEY
    if tallybook.new_admin_key is not None:
        key = f"{tallybook.new_admin_key}  (cluster admin; kept in {key_file}, shown only now)"
    elif settings.admin_key is not None:
        key = "as set in TALLYBOOK_ADMIN_KEY"
    elif key_file.exists():
        key = f"in {key_file}"
    else:
        key = "as last set in TALLYBOOK_ADMIN_KEY"
    lines = [f"Tallybook   {url}", f"API docs    {url}/docs", f"Admin key   {key}", f"Data        {settings.data_dir}"]
    print("\n".join(lines), flush=True)
