"""An export: which list, narrowed how, as what kind of file, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from smsgw.core.permissions import Permission
from smsgw.platform.files.model import FileKind

NAME = "export"
"""Of its kind of job."""
FILES = FileKind("export", most=1024**3, kept=timedelta(days=7), shared=False)
MOST_ROWS = 100_000
"""Of a list that is read page by page."""
MOST_COPIED = 10_000_000
"""Of one that the server copies (``kit.bulk``), …"""
A_FILE = 1_000_000
"""… of which a file holds so many; more are files by days, packed together. Spreadsheets have 1,048,576 rows."""
ARCHIVE = "application/zip"
MOST_OPEN = 3
"""Exports of one person that have not come to an end."""
MOST_FILES = 50
"""Files of exports of one person that are kept, …"""
MOST_OCTETS = 1024**3
"""… and their octets."""
LEAST_REASON, MOST_REASON = 2, 200
LINK_LASTS = timedelta(minutes=5)
HELD_FOR = timedelta(days=3)
"""An export waits so long for somebody's approval."""
REJECTED = "EXPORT_REJECTED"
"""Error of the job of an export that somebody has not approved."""


class Format(StrEnum):
    """Kinds of files."""

    CSV = "csv"
    XLSX = "xlsx"


MEDIA_TYPES: dict[Format, str] = {
    Format.CSV: "text/csv",
    Format.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


@dataclass(frozen=True, slots=True)
class Export:
    """What somebody wants to take away."""

    list: str
    """Name of the list."""
    permission: Permission
    """That it takes, when it is asked for, made, and fetched."""
    query: Mapping[str, str]
    """The filter, as in the address of the list."""
    columns: Sequence[str]
    format: Format
    reason: str
    language: str
    platform: str
    """Whose platform it was taken from: its name at the host where it was asked for."""
