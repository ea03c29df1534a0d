"""`POST /v1/backup`: a consistent copy of everything, written to a folder on the server's machine."""

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from tallybook.backups.service import BackupService
from tallybook.http.access import CallerOf
from tallybook.http.wire_model import WireModel


class BackupWanted(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = Field(description="Of the new folder: 1 to 100 of the characters A-Z a-z 0-9 . _ -")
    force: bool = Field(False, description="Replace an earlier backup of that name.")


class FileShown(WireModel):
    bytes: int
    sha256: str


class BackupShown(WireModel):
    object: Literal["backup"] = "backup"
    path: str = Field(description="The folder on the server's machine.")
    created_at: str = Field(description="The instant that the backup is of.")
    counts: dict[str, int] = Field(description="What it holds.")
    files: dict[str, FileShown]


def router(backups: BackupService) -> APIRouter:
    routes = APIRouter(tags=["operations"])

    @routes.post("/v1/backup", status_code=201)
    def write_backup(wanted: BackupWanted, caller: CallerOf) -> BackupShown:
        """Writes a backup while serving, with everything that was acknowledged before. Answers once it is durable."""
        backup = backups.write(wanted.name, actor=caller.actor, force=wanted.force)
        files = {name: FileShown(bytes=kept.bytes, sha256=kept.sha256) for name, kept in backup.manifest.files.items()}
        return BackupShown(
            path=str(backup.path),
            created_at=backup.manifest.created_at,
            counts=dict(backup.manifest.counts),
            files=files,
        )

    return routes
