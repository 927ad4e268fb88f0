"""What a task is asked to do, and the rules for times that people write down."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from typing import Any

from smsgw.core import schedule
from smsgw.core.actor import ActorLabel
from smsgw.core.errors import Invalid, Refused, SmsgwError
from smsgw.core.frequency import Tagged, tagged_of
from smsgw.core.kinds import CustomKind
from smsgw.core.model import Account, MessageType, Origin
from smsgw.core.schedule import ALL_DAYS, Hours, Recurrence, Window, Windows
from smsgw.core.stages import steps_of
from smsgw.core.states import FINAL, STATUS
from smsgw.core.tasks import Task
from smsgw.core.words import Phrase, labels_of, phrase
from smsgw.platform.audience.model import Picked
from smsgw.store.engine.database import Row

MAX_TO = 10_000
"""Numbers in a call; more come in a file."""
MAX_NAME = 64
MAX_RATE = 10_000
MAX_AHEAD = timedelta(days=366)
AHEAD = timedelta(seconds=30)
"""Messages are made this long before their time."""
ACCOUNT_SHARE = 0.8
"""Of the account's rate, what its tasks may use: its other messages are not to be refused for a task."""
GRACE = timedelta(hours=1)
"""A run that comes round again starts at most this late; later it has been missed."""

STATES = labels_of("task_state")
"""Their names, for people."""
FINAL_STATUSES = frozenset(STATUS[state] for state in FINAL) | {"rejected"}


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """A task as its owner describes it; shapes and sizes are checked by the edge, all else by ``Tasks.create``."""

    account: Account
    name: str
    content: str
    """Empty when it is made of a template."""
    origin: Origin
    submitter: ActorLabel
    to: tuple[str, ...] = ()
    upload_id: int | None = None
    audience_id: int | None = None
    picked: Picked | None = None
    """People of the address book, instead of all of one group of it; or whom ``audience_id`` means, a saved segment."""
    template_id: int | None = None
    params: Mapping[str, str] = field(default_factory=dict)
    """Values of the template's variables that are the same for all."""
    phone: str | None = None
    """The column of the numbers, by name or letter; None: the one that seems to hold them."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """Variable of the text -> column (of an audience: field); one that is not named here has that of its own name."""
    ext_column: str | None = None
    type: MessageType | None = None
    """None: the template's; without one a notice."""
    kind: CustomKind | None = None
    """Which kind of that type; None: none in particular."""
    sign: str = ""
    ext: str = ""
    extend_code: str = ""
    callback_url: str = ""
    send_at: datetime | None = None
    expire_at: datetime | None = None
    windows: Sequence[Mapping[str, Any]] = ()
    recurring: Mapping[str, Any] | None = None
    rate: int = 0
    """Messages per second; 0: as fast as it goes."""
    steps: Mapping[str, Any] | None = None
    """In which it sends (``core.stages.steps_of``); None: all at once."""
    frequency: Mapping[str, Any] | None = None
    """How often a number gets it at most (``core.frequency.tagged_of``); None: as the policies say."""
    fallback: Mapping[str, Any] | None = None
    """What follows a message that has failed (``core.fallback.chain_of``); None: nothing."""
    prefer: str = ""
    """The pool that it is sent through where routing allows; empty: as routing decides."""
    link_id: int | None = None
    """The short link whose address the text has in its place for one; None: there is none."""
    emergency: bool = False
    """Before everything else (特发); somebody else has to pass it first."""
    review: bool = False
    survey: Mapping[str, Any] | None = None
    """What was found about its rows, for a reviewer."""
    one_each: str = "number"
    client_ref: str = ""
    request_key: str = ""
    request_sha256: bytes = b""

    @property
    def kind_name(self) -> str:
        """Empty: of no kind in particular."""
        return self.kind.name if self.kind is not None else ""


@dataclass(frozen=True, slots=True)
class Progress:
    """What has become of the rows of a task's latest run.

    ``valid`` rows = ``pending`` + the sum of ``statuses``, in which rows that will get no message any more are
    ``rejected``, ``expired`` or ``cancelled``, too.
    """

    total: int
    valid: int
    pending: int
    statuses: dict[str, int]

    @property
    def done(self) -> int:
        """Rows that have come to an end."""
        return sum(n for status, n in self.statuses.items() if status in FINAL_STATUSES)


def progress(task: Task, counted: Counter[str], feeding_over: bool) -> Progress:
    """Sum up a task from what its messages were counted as (``refused``: rows refused at the door; ``aside``: rows that
    are to be fed again)."""
    statuses = Counter(counted)
    statuses["rejected"] += statuses.pop("refused", 0)
    left = task.valid - task.fed + statuses.pop("aside", 0)
    pending = left
    if task.state == "cancelled":
        statuses["cancelled"] += left
        pending = 0
    elif feeding_over and task.run:
        statuses["expired"] += left
        pending = 0
    return Progress(task.total, task.valid, pending, {s: n for s, n in sorted(statuses.items()) if n})


# --- times as people write them --------------------------------------------------------------------------------------

_CLOCK = re.compile(r"([01]\d|2[0-4]):([0-5]\d)(?::([0-5]\d))?", re.ASCII)


def invalid(field_: str, reason: Phrase) -> SmsgwError:
    """A field that cannot be used."""
    return Invalid("PARAM_INVALID", field=field_, reason=reason)


def clock(text: Any, field_: str) -> time:
    """``HH:MM`` or ``HH:MM:SS``; 24:00 is the end of the day."""
    match = _CLOCK.fullmatch(text) if isinstance(text, str) else None
    hour = int(match[1]) if match else 0
    if match is None or (hour == 24 and (match[2] != "00" or match[3] not in (None, "00"))):
        raise invalid(field_, phrase("time.clock"))
    return time(hour % 24, int(match[2]), int(match[3] or 0))


def _days(given: Any, allowed: frozenset[int], field_: str) -> frozenset[int]:
    if not isinstance(given, list | tuple | set | frozenset) or not given or not allowed >= set(given):
        low, high = min(d for d in allowed if d > 0), max(allowed)
        raise invalid(field_, phrase("time.days_last" if -1 in allowed else "time.days", low=low, high=high))
    return frozenset(given)


def windows_of(given: Sequence[Mapping[str, Any]], field_: str = "window") -> Windows:
    """``[{"from": "09:00", "to": "18:00", "days": [1, 2, 3, 4, 5]}, …]``."""
    if len(given) > schedule.MAX_WINDOWS:
        raise invalid(field_, phrase("time.windows", most=schedule.MAX_WINDOWS))
    spans = []
    for index, one in enumerate(given):
        begin = clock(one.get("from"), f"{field_}[{index}].from")
        end = clock(one.get("to"), f"{field_}[{index}].to")
        if begin == end and begin != time(0):
            raise invalid(f"{field_}[{index}]", phrase("time.window_empty"))
        days = one.get("days")
        spans.append(Window(begin, end, ALL_DAYS if days is None else _days(days, ALL_DAYS, f"{field_}[{index}].days")))
    return Windows(tuple(spans))


def recurrence_of(given: Mapping[str, Any]) -> Recurrence:
    """``{"every": "week", "at": ["09:00"], "on": [1, 4], "until": …}``."""
    every = given.get("every")
    at = given.get("at")
    at = [at] if isinstance(at, str) else at
    if not isinstance(at, list | tuple) or not 0 < len(at) <= schedule.MAX_TIMES:
        raise invalid("recurring.at", phrase("recurring.at"))
    times = tuple(sorted({clock(t, f"recurring.at[{i}]") for i, t in enumerate(at)}))
    on: frozenset[int] = frozenset()
    if every == "week":
        on = _days(given.get("on"), ALL_DAYS, "recurring.on")
    elif every == "month":
        on = _days(given.get("on"), frozenset(range(1, 32)) | {-1}, "recurring.on")
    elif every != "day":
        raise invalid("recurring.every", phrase("recurring.every"))
    elif given.get("on") is not None:
        raise invalid("recurring.on", phrase("recurring.on"))
    until = given.get("until")
    if isinstance(until, str):
        until = datetime.fromisoformat(until)
    return Recurrence(every, times, on, until)


def tagged_in(task: Task) -> Tagged | None:
    """How often a number gets the task at most, by its own wish: without a tag what the task itself has sent counts."""
    return None if task.frequency is None else tagged_of(task.frequency, f"task/{task.id}")


def hours_of(task: Task, allowed: Windows) -> Hours:
    """When a task may send: within its own windows, and the hours that the policies allow its account and type."""
    return Hours((windows_of(task.windows), allowed))


def ends_at(
    hours: Hours, account: Account, rows: int, begins: datetime, *, rate: int, steps: Mapping[str, Any] | None
) -> datetime | None:
    """When so many rows that begin then are sent, by the rates of the account and of the task (0: none), with the rests
    between steps; None: nobody can say."""
    of_account = account.rate * ACCOUNT_SHARE
    work = timedelta(seconds=rows / max(1.0, min(of_account, rate or of_account)))
    if steps is not None:
        plan = steps_of(steps)
        work += timedelta(minutes=plan.minutes * len(plan.shares))
    return hours.after(begins, work)


@dataclass(frozen=True, slots=True)
class TaskView:
    """A task with its progress."""

    task: Task
    progress: Progress
    runs: tuple[Row, ...] = ()

    def at(self, run: int | None) -> tuple[int, bool]:
        """A run (None: the latest), and whether it gets no more messages. ``NOT_FOUND`` when there is no such run."""
        wanted = self.task.run if run is None else run
        found = next((row for row in self.runs if row["run"] == wanted), None)
        if found is None:
            if run is not None:
                raise Refused("NOT_FOUND")
            return wanted, False
        return wanted, found["fed"] is not None


@dataclass(frozen=True, slots=True)
class ListedTask:
    """A task as a row of a list: as it was last counted."""

    task: Task
    progress: Progress
    account: str

    @property
    def id(self) -> int:
        """What lists know it by."""
        return self.task.id

    @property
    def failed(self) -> int:
        """Numbers that will not get it, whatever the cause but that it was cancelled."""
        of = self.progress.statuses
        return sum(of.get(status, 0) for status in FINAL_STATUSES - {"delivered", "cancelled"} - UNKNOWN)

    @property
    def unknown(self) -> int:
        """Numbers of which nobody knows whether they got it."""
        return sum(self.progress.statuses.get(status, 0) for status in UNKNOWN)


UNKNOWN = frozenset({"no_report", "uncertain", "unconfirmed"})
"""Statuses of which nobody can say more."""


@dataclass(frozen=True, slots=True)
class WantedTasks:
    """Which tasks are looked for; empty and None: all."""

    from_time: datetime | None = None
    to_time: datetime | None = None
    id: int | None = None
    name: str = ""
    """A piece of it."""
    account_id: int | None = None
    submitter: ActorLabel | None = None
    state: str = ""
    type: str = ""
    origin: str = ""
    timed: bool | None = None
    begun: bool | None = None


@dataclass(frozen=True, slots=True)
class ProblemRow:
    """A row that got no message."""

    id: int
    line: int
    number: str
    """As written."""
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class WantedProblems:
    """Rows of one task; empty and None: all of them."""

    task_id: int
    code: str = ""
    line: int | None = None


def feeding_over(task: Task) -> bool:
    """Whether the latest run gets no more messages, as far as the task's state tells."""
    return (task.paused_from or task.state) in ("scheduled", "sent", "finished")
