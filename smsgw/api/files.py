"""``/files``: tables of recipients for tasks."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from smsgw.api.context import Call
from smsgw.api.route import STORAGE, Route
from smsgw.api.values import china, path_id
from smsgw.platform.campaigns.sheets import letter
from smsgw.platform.campaigns.uploads import Upload


class Column(msgspec.Struct):
    """A column of a table; a task may name it by either."""

    name: str
    letter: str


class UploadedFile(msgspec.Struct):
    """A table as it was understood. ``phone_column`` seems to hold the numbers; null: none does."""

    file_id: str
    name: str
    size: int
    rows: int
    columns: list[Column]
    phone_column: str | None
    preview: list[list[str]]
    format: dict[str, Any]
    expires_at: datetime


async def upload_file(call: Call) -> UploadedFile:
    """``POST /files``."""
    assert call.incoming is not None  # noqa: S101 - the route says so
    return _file(await call.ctx.tasks.files.keep(call.incoming, call.actor.label))


async def get_file(call: Call) -> UploadedFile:
    """``GET /files/{id}``."""
    return _file(await call.ctx.tasks.files.get(path_id(call), accounts=(call.account.id,)))


def _file(upload: Upload) -> UploadedFile:
    phone = upload.phone_column
    return UploadedFile(
        file_id=str(upload.id),
        name=upload.name,
        size=upload.size,
        rows=upload.rows,
        columns=[Column(name, letter(i)) for i, name in enumerate(upload.columns)],
        phone_column=None if phone is None else upload.columns[phone],
        preview=upload.first_rows,
        format={name: value for name, value in upload.form.items() if value != ""},
        expires_at=china(upload.expires_at),
    )


ROUTES = (
    Route("POST", "/files", "send", upload_file, "Upload a table of recipients (CSV or XLSX) for a task",
          UploadedFile, status=201, upload=True,
          errors=("FILE_INVALID", "FILE_TOO_LARGE", "PARAM_MISSING", "REQUEST_TIMEOUT", "BACKPRESSURE", *STORAGE)),
    Route("GET", "/files/{id}", "send", get_file, "An uploaded table", UploadedFile,
          errors=("NOT_FOUND", *STORAGE)),
)  # fmt: skip
