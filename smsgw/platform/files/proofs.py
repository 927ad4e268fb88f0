"""Files that prove something: pictures and PDFs, kept as they came, since evidence is not made anew.

What nothing means any more goes after a day.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from smsgw.core.actor import ActorLabel
from smsgw.core.errors import Invalid
from smsgw.core.words import phrase
from smsgw.platform.files.model import FileKind, Incoming, StoredFile
from smsgw.platform.files.service import FileStore
from smsgw.store.engine.database import Database

MOST = 10 * 1024 * 1024
PICTURES = ("image/png", "image/jpeg", "image/webp")
PDF = "application/pdf"


def kind(database: Database, name: str, held: str) -> FileKind:
    """A sort of them; ``held`` asks which of the files ($1) are meant by a row, as ``id``."""

    async def meant(ids: Sequence[int]) -> set[int]:
        return {row["id"] for row in await database.fetch(held, list(ids))}

    return FileKind(name, MOST, timedelta(days=1), meant)


def media_type(path: Path) -> str:
    """What a file is by its content. ``FILE_INVALID``."""
    with path.open("rb") as file:
        head = file.read(16)
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return PICTURES[0]
    if head.startswith(b"\xff\xd8\xff"):
        return PICTURES[1]
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return PICTURES[2]
    if head.startswith(b"%PDF-"):
        return PDF
    raise Invalid("FILE_INVALID", reason=phrase("consent.proof_kind"))


async def keep(store: FileStore, incoming: Incoming, label: ActorLabel) -> StoredFile:
    """The file has come. ``FILE_INVALID``, ``FILE_TOO_LARGE``."""
    try:
        store.check(incoming)
        media = await asyncio.to_thread(media_type, incoming.path)
        return await store.keep(incoming, media, label)
    finally:
        store.drop(incoming)
