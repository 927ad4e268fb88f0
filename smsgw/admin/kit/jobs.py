"""Details of a job, and the way to the file that it has made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from smsgw.admin.call import Call
from smsgw.admin.i18n import DEFAULT
from smsgw.admin.kit.details import Button, Detail, Section
from smsgw.admin.kit.tables import Cell, Column
from smsgw.admin.words import (
    account_route,
    audience,
    lists as words,
    people,
    prefixes,
    routing,
    unmatched as unmatched_words,
)
from smsgw.core.errors import CODES, message_of
from smsgw.core.permissions import Permission
from smsgw.platform.audience import importing as contacts
from smsgw.platform.audit import verification
from smsgw.platform.channels import unmatched
from smsgw.platform.evidence import verification as proving
from smsgw.platform.exports import service as exports
from smsgw.platform.exports.model import NAME as EXPORT, REJECTED
from smsgw.platform.jobs.model import Job, JobState
from smsgw.platform.lists import consent_import as consents, number_import as listing
from smsgw.platform.org import importing
from smsgw.platform.routing import following, prefix_sheets
from smsgw.platform.sheets import queries as sheets
from smsgw.platform.sheets.model import MOST_ROWS, Outcome
from smsgw.platform.words import importing as word_list
from smsgw.runtime import clock

REFRESH = 2
"""Seconds between two looks at one that is under way."""
_OPEN = (JobState.WAITING, JobState.RUNNING)


def percent(job: Job) -> int | None:
    """How far it is; None: cannot be told."""
    if job.state is JobState.DONE:
        return 100
    return min(99, job.done * 100 // job.total) if job.total else None


def handled(job: Job) -> int | None:
    """Units that were dealt with; None: its kind counts none, so that nothing beside 100 % would be a contradiction."""
    return None if job.state is JobState.DONE and not job.done and not job.total else job.done


def _until(job: Job) -> datetime | None:
    until = job.checkpoint.get("until")
    return datetime.fromisoformat(until) if until else None


_ABOUT = (
    Column("kind", Cell.WORD, "job_kind", words=words.JOB_KIND),
    Column("state", Cell.STATE, "status", words=words.JOB_STATE, tones=words.JOB_TONE),
    Column("progress", Cell.PROGRESS, value=percent),
    Column("done", Cell.NUMBER, "handled", value=handled),
    Column("speed", Cell.NUMBER, value=lambda job: round(job.speed(clock.now()), 1)),
    Column("remaining", Cell.SPAN, value=lambda job: job.remaining(clock.now())),
    Column("submitter"),
    Column("created_at", Cell.TIME),
    Column("started_at", Cell.TIME),
    Column("ended_at", Cell.TIME, "done_at"),
)
_EXPORT = (
    Column("fetcher", value=lambda job: job.submitter),
    Column("reason", value=lambda job: job.params["reason"]),
    Column("format", value=lambda job: str(job.params["format"]).upper()),
    Column("size", Cell.SIZE, value=lambda job: job.checkpoint.get("size")),
    Column("fetched", Cell.NUMBER, value=lambda job: job.checkpoint.get("fetched", 0)),
    Column("expires_at", Cell.TIME, value=_until),
)
_IMPORT = (Column("file_name"), *(Column(one.value, Cell.NUMBER) for one in Outcome))


async def detail(call: Call, job: Job) -> Detail:
    """What a job is, how far, and what one can do with it."""
    sections = [Section(_ABOUT, job)]
    notice, good = "", True
    links: Sequence[tuple[str, str]] = ()
    if job.kind == EXPORT:
        sections.append(Section(_EXPORT, job))
    elif job.kind in _IMPORTS:
        counts = await _counts(call, job)
        told = {"file_name": job.params["file"], **{one.value: counts.get(one, 0) for one in Outcome}}
        sections.append(Section(_IMPORT, told))
        links = await _IMPORTS[job.kind](call, job)
    elif job.kind == verification.NAME and job.state is JobState.DONE:
        notice, good = _verified(call, job.checkpoint)
    elif job.kind == proving.NAME and job.state is JobState.DONE:
        notice, good = _proven(call, job.checkpoint)
    elif job.kind == following.NAME and "moved" in job.checkpoint:
        busy = job.checkpoint["busy"]
        text = account_route.FOLLOWED_BUSY if busy else account_route.FOLLOWED
        notice = call.filled(text, {"moved": f"{job.checkpoint['moved']:,}", "busy": f"{busy:,}"})
    elif job.kind == prefix_sheets.NAME and "import" in job.checkpoint:
        told = {key: f"{job.checkpoint[key]:,}" for key in ("added", "changed", "same")}
        notice, links = call.filled(prefixes.IMPORT_DONE, told), ((prefixes.IMPORTS, "/prefixes/imports"),)
    elif job.kind == unmatched.NAME and "matched" in job.checkpoint:
        told = {key: f"{job.checkpoint[key]:,}" for key in ("looked", "matched", "ambiguous")}
        notice = call.filled(unmatched_words.DONE, told)
    if exports.held(job):
        notice = call.filled(words.EXPORT_HELD, {"rows": f"{job.params['rows']:,}", "who": job.submitter})
    if job.state is JobState.FAILED:
        notice, good = _failed(call, job), False
    title = f"{call.gettext(words.JOB_KIND.get(job.kind, job.kind))} #{job.id}"
    refresh = REFRESH if job.state in _OPEN else 0
    return Detail(title, sections, buttons=_buttons(call, job), links=links, refresh=refresh, notice=notice, good=good)


async def _counts(call: Call, job: Job) -> Mapping[Outcome, int]:
    """What its rows have come to so far: imports that go page by page write it down."""
    if "line" in job.checkpoint:
        return {one: job.checkpoint.get(one.value, 0) for one in Outcome}
    return await sheets.counts(call.db, job.id)


async def _of_import(call: Call, job: Job) -> Sequence[tuple[str, str]]:
    """What an import of staff has to fetch, for who has begun it."""
    if job.submitter != call.actor.label or not call.may(Permission.PERSON_EDIT) or job.state in _OPEN:
        return ()
    found = [(people.IMPORT_RESULT, f"/staff/-/import/{job.id}/result")]
    if await importing.waiting(call.db, call.actor, job.id):
        found.insert(0, (people.FIRST_PASSWORDS, f"/staff/-/import/{job.id}/passwords"))
    return found


async def _of_contacts(call: Call, job: Job) -> Sequence[tuple[str, str]]:
    """What an import of contacts has to fetch, for who has begun it."""
    if job.submitter != call.actor.label or not call.may(Permission.CONTACT_EDIT) or job.state in _OPEN:
        return ()
    return await _results(call, job, "/contacts")


async def _of_numbers(call: Call, job: Job) -> Sequence[tuple[str, str]]:
    """What an import onto a list of numbers has to fetch, for who has begun it."""
    if job.submitter != call.actor.label or not call.may(listing.PERMISSION[job.kind]) or job.state in _OPEN:
        return ()
    return await _results(call, job, "/blocked" if job.kind == listing.BLOCK else "/allowed")


async def _results(call: Call, job: Job, path: str) -> Sequence[tuple[str, str]]:
    """Rows that were not taken; all of them, when there were not too many."""
    at, counts = f"{path}/-/import/{job.id}", await _counts(call, job)
    wrong = counts.get(Outcome.WRONG, 0) + counts.get(Outcome.SKIPPED, 0)
    more = ((audience.CONTACT_IMPORT_WRONG, f"{at}/wrong"),) if wrong else ()
    whole = ((audience.CONTACT_IMPORT_RESULT, f"{at}/result"),) if sum(counts.values()) <= MOST_ROWS else ()
    return (*more, *whole)


async def _of_words(call: Call, job: Job) -> Sequence[tuple[str, str]]:
    """What an import of words has to fetch, for who has begun it."""
    if job.submitter != call.actor.label or not call.may(Permission.WORD_EDIT) or job.state in _OPEN:
        return ()
    at = f"/words/-/import/{job.id}"
    counts = await sheets.counts(call.db, job.id)
    left = counts.get(Outcome.WRONG, 0) + counts.get(Outcome.SKIPPED, 0)
    more = ((routing.WORD_IMPORT_WRONG, f"{at}/wrong"),) if left else ()
    return (*more, (routing.WORD_IMPORT_RESULT, f"{at}/result"))


async def _of_consents(call: Call, job: Job) -> Sequence[tuple[str, str]]:
    """What an import of consents has to fetch."""
    if not call.may(Permission.BLOCK_EDIT) or not call.actor.scope.covers(job.params["account"]) or job.state in _OPEN:
        return ()
    return ((audience.CONTACT_IMPORT_RESULT, f"/consents/-/import/{job.id}/result"),)


_IMPORTS = {
    importing.NAME: _of_import, contacts.NAME: _of_contacts, consents.NAME: _of_consents, word_list.NAME: _of_words,
    listing.BLOCK: _of_numbers, listing.ALLOW: _of_numbers,
}  # fmt: skip


def _buttons(call: Call, job: Job) -> Sequence[Button]:
    own = job.submitter == call.actor.label
    if job.kind == EXPORT and job.state is JobState.DONE and own and "file" in job.checkpoint:
        return (Button(words.DOWNLOAD, f"/jobs/{job.id}/link", primary=True),)
    if exports.held(job) and not own and call.may(Permission.JOB_EDIT):
        return (
            Button(words.EXPORT_PASS, f"/jobs/{job.id}/approve", primary=True),
            Button(words.EXPORT_REJECT, "/jobs/-/effect/reject", True, fields={"id": str(job.id)}, asks=True),
        )
    if job.state in _OPEN and (own or call.may(Permission.JOB_EDIT)):
        return (Button(words.CANCEL_JOB, "/jobs/-/effect/cancel", True, fields={"id": str(job.id)}, asks=True),)
    return ()


def _verified(call: Call, found: Any) -> tuple[str, bool]:
    if found.get("sound"):
        return call.filled(words.VERIFY_SOUND, {"rows": f"{found['rows']:,}"}), True
    problems = [p for p in found.get("problems", []) if not p[3]]
    said = [
        call.filled(
            words.PROBLEM_AT,
            {
                "problem": call.gettext(words.AUDIT_PROBLEM.get(kind, kind)),
                "rows": f"{first}" if first == last else f"{first}–{last}",
            },
        )
        for kind, first, last, _ in problems
    ]
    number = len(problems) + found.get("more", 0)
    return "\n".join([call.filled(words.VERIFY_BROKEN, {"n": number}), *said]), False


def _proven(call: Call, found: Any) -> tuple[str, bool]:
    if found.get("sound"):
        counts = {key: f"{found[key]:,}" for key in ("days", "leaves", "pdus", "results")}
        return call.filled(words.EVIDENCE_SOUND, counts), True
    said = []
    for kind, day, about in found.get("problems", []):
        what = call.gettext(words.EVIDENCE_PROBLEM[kind])
        said.append(call.filled(words.PROBLEM_AT, {"problem": what, "rows": f"{day} {about}".strip()}))
    number = len(said) + found.get("more", 0)
    return "\n".join([call.filled(words.VERIFY_BROKEN, {"n": number}), *said]), False


def _failed(call: Call, job: Job) -> str:
    if job.error == REJECTED:
        said = {"who": job.params.get("decided_by", ""), "why": job.params.get("decision", "")}
        return call.filled(words.EXPORT_REJECTED, said)
    if job.error in words.JOB_ERROR:
        return call.gettext(words.JOB_ERROR[job.error])
    if job.error in CODES:
        return message_of(job.error, dict(job.detail), english=call.language != DEFAULT)
    return job.error
