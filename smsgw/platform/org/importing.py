"""People brought in from a table, as a durable job: each row in a transaction of its own, by the rules of a single one.

Whoever has begun the job is who adds the people, with the rights of the moment: nobody gets by a table what could not
be given by hand. A row that was done is known by its line, so that a job that is cut off goes on behind it; a login
that there is already is passed over, so that a table may be brought in again.

First passwords are written down nowhere. They come from the key file, the job and the login, and can be told anew while
the person has not come in and has no other.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import timedelta

from smsgw.core.actor import Actor
from smsgw.core.errors import Invalid, Refused, SmsgwError, Temporary, messages_of
from smsgw.core.permissions import Permission
from smsgw.core.words import phrase
from smsgw.platform.accounts import queries as accounts
from smsgw.platform.change import Change
from smsgw.platform.jobs import queries as jobs
from smsgw.platform.jobs.model import Job, NewJob
from smsgw.platform.jobs.runner import LONG, JobContext, JobKind
from smsgw.platform.org import queries, service
from smsgw.platform.org.model import MAX_DEPTH, Department
from smsgw.platform.sheets import queries as sheets
from smsgw.platform.sheets.model import Outcome, Result, Sheet
from smsgw.platform.sheets.service import Sheets
from smsgw.runtime import clock
from smsgw.store.engine.database import Database
from smsgw.store.engine.secrets import Sealer

NAME = "staff.import"
PATIENCE = 7200.0
LASTS = timedelta(days=1)
COLUMNS = ("login", "name", "phone", "email", "department", "role", "account")
"""What columns may mean; the first two have to be there."""
NEEDED = COLUMNS[:2]
TOLD_FOR = timedelta(days=7)
"""How long after its end the first passwords of an import can be told."""
MOST_TOLD = 10_000

Hash = Callable[[str], Awaitable[str]]
_PURPOSE = "staff.import"
_LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"
"""32 of them, and none that could be taken for another."""
_PARTS = re.compile(r"[/\\>／＞]")
_SEVERAL = re.compile(r"[,，;；、]")


@dataclass(frozen=True, slots=True)
class Plan:
    """How the rows are to be read."""

    columns: Mapping[str, int]
    """Of ``COLUMNS``: which of the table's it is, from 0."""
    department_id: int | None = None
    """Where people go whose row names no department."""
    roles: tuple[str, ...] = ()
    """Codes; what people get whose row names none."""
    make_departments: bool = False


async def begin(change: Change, sheet: Sheet, plan: Plan, sealer: Sealer) -> int:
    """Have a table's people brought in, on the node where it lies; the job. ``PARAM_INVALID``; ``STATE_CONFLICT`` while
    it is being brought in already."""
    for key in NEEDED:
        if key not in plan.columns:
            raise Invalid("PARAM_INVALID", field=key, reason=phrase("text.between", low=1, high=64))
    if any(key not in COLUMNS or not 0 <= at < len(sheet.columns) for key, at in plan.columns.items()):
        raise Invalid("PARAM_INVALID", field="columns", reason=phrase("fields.known", known=", ".join(COLUMNS)))
    key_id, _ = sealer.derive(_PURPOSE)
    said = {
        "columns": dict(plan.columns), "department": plan.department_id, "roles": list(plan.roles),
        "make_departments": plan.make_departments,
    }  # fmt: skip
    params = {"sheet": sheet.id, "file": sheet.name, "key": key_id, **said}
    async with change.unit(Permission.PERSON_EDIT) as unit:
        wanted = NewJob(NAME, params, change.actor.label, subject=f"sheet/{sheet.id}", node=sheet.node, lasts=LASTS)
        id_ = await jobs.add(unit.connection, wanted)
        if id_ is None:
            raise Refused("STATE_CONFLICT", reason=phrase("import.under_way"))
        unit.record("staff.import", f"job/{id_}", after={"file": sheet.name, "rows": sheet.rows, **said})
    return id_


# --- first passwords -------------------------------------------------------------------------------------------------


def _password(secret: bytes, job_id: int, login: str) -> str:
    """100 bits, as a clerk can copy them."""
    octets = hmac.digest(secret, f"{job_id}\0{login}".encode(), hashlib.sha256)
    letters = [_LETTERS[octet & 31] for octet in octets[:20]]
    return "-".join("".join(letters[at : at + 5]) for at in range(0, 20, 5))


@dataclass(frozen=True, slots=True)
class First:
    """The first password of a person."""

    login: str
    name: str
    password: str


_FIRST = """
SELECT s.login, s.name FROM sheet_result r JOIN staff s ON s.id = r.row_id
WHERE r.job_id = $1 AND r.outcome = 'created' AND s.status = 'active' AND s.must_change AND s.last_login_at IS NULL
  AND NOT EXISTS (SELECT FROM staff_password p WHERE p.staff_id = s.id)
  AND ($2::bigint[] IS NULL OR s.department_id = ANY($2))
ORDER BY r.line LIMIT $3
"""


async def waiting(database: Database, actor: Actor, job_id: int) -> list[tuple[str, str]]:
    """Login and name of those whom an import has made, and who have not come in with their first password yet; without
    those who may do, or see, what the actor may not: others have given them more since, or taken it from the actor."""
    departments = actor.scope.departments
    rows = await database.fetch(_FIRST, job_id, None if departments is None else list(departments), MOST_TOLD)
    below = await queries.below(database, actor, [row["login"] for row in rows])
    return [(row["login"], row["name"]) for row in rows if row["login"] in below]


async def own_import(database: Database, actor: Actor, job_id: int) -> Job:
    """An import that the actor has begun. ``NOT_FOUND``."""
    job = await jobs.own(database, actor, job_id)
    if job is None or job.kind != NAME or job.submitter != actor.label:
        raise Refused("NOT_FOUND")
    return job


async def first_passwords(change: Change, job_id: int, sealer: Sealer) -> list[First]:
    """The first passwords of those who wait for them, for who has brought them in. ``NOT_FOUND``; ``STATE_CONFLICT``
    when it is too late, or the key is another."""
    change.actor.require(Permission.PERSON_EDIT)
    job = await own_import(change.database, change.actor, job_id)
    secret = sealer.derived(_PURPOSE, str(job.params["key"]))
    late = job.ended_at is not None and clock.now() - job.ended_at > TOLD_FOR
    if secret is None or late:
        raise Refused("STATE_CONFLICT", reason=phrase("import.passwords_gone"))
    async with change.unit(Permission.PERSON_EDIT) as unit:
        people = await waiting(change.database, change.actor, job_id)
        unit.record("staff.import_passwords", f"job/{job_id}", after={"people": len(people)})
    return [First(login, name, _password(secret, job_id, login)) for login, name in people]


# --- the job ---------------------------------------------------------------------------------------------------------


class StaffImporter:
    """Brings in the people of tables on one node."""

    def __init__(
        self,
        database: Database,
        sheets_: Sheets,
        sealer: Sealer,
        hashing: Callable[[], AbstractAsyncContextManager[Hash]],
    ) -> None:
        self._database = database
        self._sheets = sheets_
        self._sealer = sealer
        self._hashing = hashing

    def kind(self) -> JobKind:
        """The kind of its jobs."""
        return JobKind(NAME, self._run, per_owner=1, at_once=1, places=LONG, patience=PATIENCE)

    async def _run(self, context: JobContext) -> None:
        job = context.job
        secret = self._sealer.derived(_PURPOSE, str(job.params["key"]))
        if secret is None:
            raise Refused("STATE_CONFLICT", reason=phrase("import.passwords_gone"))
        columns: dict[str, int] = job.params["columns"]
        sheet = await self._sheets.get(int(job.params["sheet"]), NAME, job.submitter)
        rows = await self._sheets.rows(sheet, list(columns.values()))
        known = await sheets.lines(self._database, job.id)
        async with self._hashing() as make_hash:
            bringing = await _Bringing.begun(self._database, job, make_hash, secret)
            for done, (line, cells) in enumerate(rows, 1):
                if line not in known:
                    await bringing.row(line, dict(zip(columns, (cell.strip() for cell in cells), strict=True)))
                await context.progress(done, len(rows))
        counts = await sheets.counts(self._database, job.id)
        await context.progress(len(rows), len(rows), checkpoint={k.value: n for k, n in counts.items()})


class _Bringing:
    """One import under way."""

    def __init__(self, database: Database, job: Job, actor: Actor, make_hash: Hash, secret: bytes) -> None:
        self._database = database
        self._job = job
        self._change = Change(database, actor)
        self._hash = make_hash
        self._secret = secret
        self._places: dict[str, int] = {}
        self._roles: dict[str, list[str]] = {}

    @classmethod
    async def begun(cls, database: Database, job: Job, make_hash: Hash, secret: bytes) -> _Bringing:
        """By whoever has asked for it, with the rights of now. ``PERMISSION_DENIED``."""
        person = await queries.person(database, job.submitter)
        if person is None:
            raise Refused("PERMISSION_DENIED", permission=Permission.PERSON_EDIT.value)
        actor = person.actor()
        actor.require(Permission.PERSON_EDIT)
        made = cls(database, job, actor, make_hash, secret)
        made._places = _paths(await queries.departments(database, actor.scope))
        for role in await queries.roles(database):
            for name in {role.code, role.name}:
                made._roles.setdefault(name, []).append(role.code)
        return made

    async def row(self, line: int, cells: Mapping[str, str]) -> None:
        """Make the person of a row, or write down why not. ``Temporary`` when the database is away."""
        login, name = cells.get("login", ""), cells.get("name", "")
        try:
            if login and await queries.taken(self._database, login):
                said = phrase("import.exists", login=login)
                result = Result(line, Outcome.SKIPPED, login, name, said=said.text(False), said_en=said.text(True))
                await sheets.add_result(self._database, self._job.id, result)
                return
            await self._make(line, cells)
        except Temporary:
            raise
        except SmsgwError as exc:
            if exc.code == "PERMISSION_DENIED" and exc.detail.get("permission") == Permission.PERSON_EDIT.value:
                raise
            said_zh, said_en = messages_of(exc.code, exc.detail)
            result = Result(line, Outcome.WRONG, login, name, said=said_zh, said_en=said_en)
            await sheets.add_result(self._database, self._job.id, result)

    async def _make(self, line: int, cells: Mapping[str, str]) -> None:
        login, name = cells["login"], " ".join(cells["name"].split())  # two characters are often put far apart
        if not 0 < len(name) <= 64:
            raise Invalid("PARAM_INVALID", field="name", reason=phrase("text.between", low=1, high=64))
        params = self._job.params
        roles = self._codes(cells.get("role", "")) or params["roles"]
        own = [await self._account(one) for one in _several(cells.get("account", ""))]
        hashed = await self._hash(_password(self._secret, self._job.id, login))
        made: dict[str, int] = {}
        async with self._change.unit(Permission.PERSON_EDIT) as unit:
            place = await self._place(cells.get("department", ""), made)
            id_ = await service.add_person(
                self._change, login, name, roles, hashed, accounts=own,
                department_id=params["department"] if place is None else place,
                email=cells.get("email", ""), phone=cells.get("phone", ""),
            )  # fmt: skip
            await sheets.add_result(unit.connection, self._job.id, Result(line, Outcome.CREATED, login, name, id_))
            unit.unchanged()  # its parts have their own entries
        self._places |= made

    def _codes(self, text: str) -> list[str]:
        """The roles that a cell names, by code or name."""
        found = []
        for one in _several(text):
            codes = self._roles.get(one, [one])  # one that is not known is refused by its own rule
            if len(set(codes)) > 1:
                raise Invalid("PARAM_INVALID", field="role", reason=phrase("role.several", name=one))
            found.append(codes[0])
        return found

    async def _account(self, name: str) -> int:
        seen = self._change.actor.scope.accounts
        return await accounts.id_of(self._database, name, seen)

    async def _place(self, text: str, made: dict[str, int]) -> int | None:
        """The department of a path; those of it that are not there are made, when that is wished, and added to
        ``made``. None: the row names none."""
        path = [name for part in _PARTS.split(text) if (name := part.strip())]
        if not path:
            return None
        known = self._places | made
        at = len(path)
        while at and "/".join(path[:at]) not in known:
            at -= 1
        if at < len(path) and not self._job.params["make_departments"]:
            raise Invalid("PARAM_INVALID", field="department", reason=phrase("department.unknown", path=text))
        place = known["/".join(path[:at])] if at else None
        if place is None and not self._change.actor.scope.covers_department(None):
            raise Invalid("PARAM_INVALID", field="department", reason=phrase("department.unknown", path=text))
        for upto in range(at, len(path)):
            place = await service.add_department(self._change, path[upto], place)
            made["/".join(path[: upto + 1])] = place
        return place


def _several(text: str) -> list[str]:
    return [name for part in _SEVERAL.split(text) if (name := part.strip())]


def _paths(departments: Sequence[Department]) -> dict[str, int]:
    """Departments by path, from the topmost that are in the scope."""
    by_id = {one.id: one for one in departments}
    found: dict[str, int] = {}
    for one in departments:
        names, above = [one.name], by_id.get(one.parent_id or 0)
        while above is not None and len(names) <= MAX_DEPTH:
            names.insert(0, above.name)
            above = by_id.get(above.parent_id or 0)
        found["/".join(names)] = one.id
    return found
