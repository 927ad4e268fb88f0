"""Backups (P14.7; 备份): which there are, when the last good one was made, and whether it was ever restored."""

from __future__ import annotations

from smsgw.admin.call import Call
from smsgw.admin.kit.details import Detail, Section
from smsgw.admin.kit.filters import Filter
from smsgw.admin.kit.lists import Empty, ListPage
from smsgw.admin.kit.menu import Entry
from smsgw.admin.kit.tables import Cell, Column, Phone, Sort
from smsgw.admin.words import backups as words
from smsgw.core.permissions import Permission
from smsgw.platform.backups.queries import BACKUPS, Backup, sums

PATH = "/backups"
MENU = Entry("monitoring.backups", PATH, Permission.NODE_VIEW)


def _file(one: Backup) -> str:
    return "there" if one.there else "gone" if one.state == "done" else "none"


COLUMNS = (
    Column("begun_at", Cell.TIME, "backup_of", sort=True, phone=Phone.TITLE),
    Column("state", Cell.STATE, "status", words=words.STATE, tones=words.TONE, phone=Phone.BESIDE),
    Column("octets", Cell.SIZE, "size", phone=Phone.SECOND),
    Column("took", Cell.SPAN, "backup_took", phone=Phone.AWAY),
    Column("trial", Cell.STATE, "backup_trial", words=words.TRIAL, tones=words.TRIAL_TONE, phone=Phone.SECOND),
    Column("kept", Cell.STATE, "backup_kept", words=words.FILE, tones=words.FILE_TONE, value=_file, phone=Phone.AWAY),
    Column("host", label="backup_host", phone=Phone.THIRD),
    Column("file", Cell.CODE, "backup_file", shown=False, phone=Phone.AWAY),
    Column("made_by", label="submitter", phone=Phone.AWAY),
    Column("problem", Cell.LONG, "backup_problem", phone=Phone.AWAY),
)
_MORE = (
    Column("sha256", Cell.HASH, "backup_sha256"),
    Column("rows", Cell.NUMBER, "backup_rows"), Column("tables", Cell.NUMBER, "backup_tables"),
    Column("schema_version", Cell.NUMBER, "backup_schema"), Column("ended_at", Cell.TIME, "backup_ended"),
    Column("gone_at", Cell.TIME, "backup_gone"),
)  # fmt: skip
_TRIAL = (
    Column("trial", Cell.STATE, "backup_trial", words=words.TRIAL, tones=words.TRIAL_TONE),
    Column("tried_at", Cell.TIME, "backup_tried"), Column("tried_by", label="backup_tried_by"),
    Column("trial_took", Cell.SPAN, "backup_took"), Column("tried_problem", Cell.LONG, "backup_problem"),
)  # fmt: skip


async def _detail(call: Call, one: Backup) -> Detail:
    return Detail(
        call.filled(words.BACKUP, {"n": one.id}),
        [Section((*COLUMNS, *_MORE), one), Section(_TRIAL, one, words.TRIAL_SECTION)],
    )


PAGE = ListPage(
    "backups", PATH, "monitoring.backups", Permission.NODE_VIEW, Filter((), period=None), COLUMNS,
    listing=BACKUPS, sums=lambda db, actor, _, most: sums(db, actor, most), detail=_detail,
    sort=Sort("begun_at"), lead=words.LEAD, live=10, empty=Empty(words.EMPTY, words.TEACH, icon="database"),
)  # fmt: skip
