"""What a backup says of itself: `manifest.json`, written last."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from tallybook.backups.errors import NotRestorable
from tallybook.files import sync_names

FORMAT = 1
"""Rises when an older release could not restore what is written."""
MANIFEST = "manifest.json"

_READ_BYTES = 2**20


class Kept(msgspec.Struct, frozen=True):
    """A file of a backup."""

    bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True):
    """`created_at`: the instant that the backup is of, RFC 3339. `counts`: what it holds, for people."""

    format: int
    version: str
    created_at: str
    counts: Mapping[str, int]
    files: Mapping[str, Kept]


class _Format(msgspec.Struct, frozen=True):
    format: int


def described(folder: Path) -> dict[str, Kept]:
    """Every file of a folder, which has no folders in it. Makes them durable on the way."""
    return {path.name: _kept(path) for path in sorted(folder.iterdir())}


def write(folder: Path, manifest: Manifest) -> None:
    path = folder / MANIFEST
    path.write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")
    _kept(path)
    sync_names(folder)


def read(folder: Path) -> Manifest:
    """Raises `NotRestorable`."""
    path = folder / MANIFEST
    try:
        text = path.read_bytes()
        if (written := msgspec.json.decode(text, type=_Format).format) > FORMAT:
            raise NotRestorable(f"{folder} was written by a newer release: format {written}, this one knows {FORMAT}")
        return msgspec.json.decode(text, type=Manifest)
    except FileNotFoundError:
        raise NotRestorable(f"{folder} is no backup: it has no {MANIFEST}") from None
    except OSError as error:
        raise NotRestorable(f"{path} cannot be read: {error.strerror}") from None
    except msgspec.DecodeError as error:
        raise NotRestorable(f"{path} cannot be read: {error}") from None


def check_names(folder: Path, manifest: Manifest) -> None:
    """Raises `NotRestorable` naming the first file that is missing, or is none of a backup."""
    for name in manifest.files:
        if Path(name).name != name:
            raise NotRestorable(f"{folder / MANIFEST} names {name!r}, which is no file of a backup")
        if not (folder / name).is_file():
            raise NotRestorable(f"{folder / name} is missing")


def check(copy: Path, manifest: Manifest, backup: Path) -> None:
    """Raises `NotRestorable` naming the first file of the backup whose copy is not what was once written."""
    for name, kept in manifest.files.items():
        if _kept(copy / name) != kept:
            raise NotRestorable(f"{backup / name} is damaged: it is not what was written")


def _kept(path: Path) -> Kept:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(_READ_BYTES):
            digest.update(part)
        os.fsync(file.fileno())
        return Kept(file.tell(), digest.hexdigest())
