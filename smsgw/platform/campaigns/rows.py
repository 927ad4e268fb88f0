"""Rows of a file become recipients, or problems with a reason: each row is judged alone, none stops another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

import msgspec

from smsgw.core import numbers, text
from smsgw.core.errors import message_of
from smsgw.core.templates import Misfit
from smsgw.core.text import Unencodable
from smsgw.platform.campaigns.body_template import Forms, wording
from smsgw.platform.campaigns.row_rules import MOST_HELD, HeldRow, RowJudge, RowRules
from smsgw.store.messages.tasks import NewProblem, NewRow

BLOCK = 10_000
"""Rows that go to the database at once."""


class Plan(msgspec.Struct, frozen=True):
    """How a task reads its rows. Columns count from 0."""

    task_id: int
    phone: int
    content: str
    columns: tuple[int, ...] = ()
    """Of the text's variables, in their order."""
    names: tuple[str, ...] = ()
    ext: int | None = None
    one_each: str = "number"
    """What may not come twice: a ``number``, or a ``content`` to a number."""
    room: int = 1000
    """Characters that the filled text may have."""
    forms: Forms | None = None
    """Of the variables of a template; None: the content is a text of its own."""
    fixed: dict[str, str] = {}
    """Values of variables that are the same for all rows."""
    fields: tuple[str, ...] = ()
    """Of an audience's contacts, in the order of the columns."""


class RowValidator:
    """Sorts rows into those that get a message and those that do not."""

    def __init__(self, plan: Plan, rules: RowRules | None, *, keep: int = MOST_HELD) -> None:
        self._plan = plan
        self._wording = wording(plan.content, plan.forms, plan.fixed)
        self._seen: set[int] = set()
        self._rules = None if rules is None else RowJudge(rules)
        self._keep = keep
        self._text = ""
        self.total = 0
        self.valid = 0
        self.problems: Counter[str] = Counter()
        self.held = 0
        """Rows that a reviewer has to see for their own values, and …"""
        self.held_rows: list[HeldRow] = []
        """… the first of them."""
        self._of_all: list[str] = []

    def validate(self, rows: Iterable[tuple[int, list[str]]]) -> Iterator[tuple[list[NewRow], list[NewProblem]]]:
        """Blocks of both kinds, from lines with their cells."""
        plan = self._plan
        good: list[NewRow] = []
        bad: list[NewProblem] = []
        for line, cells in rows:
            self.total += 1
            width = len(cells)
            written = cells[plan.phone] if plan.phone < width else ""
            values = [cells[i] if i < width else "" for i in plan.columns]
            number, code, detail = self._judge(written, values)
            if code:
                self.problems[code] += 1
                bad.append((plan.task_id, 0, line, None, written[:64], code, message_of(code, detail), cells))
            else:
                self.valid += 1
                if self._rules is not None:
                    self._review(self._rules, line, number)
                ext = None
                if plan.ext is not None:
                    ext = cells[plan.ext][:256] if plan.ext < width else ""
                good.append((plan.task_id, self.valid, line, number, ext, values or None))
            if len(good) + len(bad) >= BLOCK:
                yield good, bad
                good, bad = [], []
        yield good, bad

    def _review(self, rules: RowJudge, line: int, number: str) -> None:
        if not self._plan.names:  # one text: what is said of it holds for all
            if self.valid == 1:
                self._of_all = [str(why) for why in rules.why(self._wording.fill(()))]
            return
        if why := rules.why(self._text):
            self.held += 1
            if len(self.held_rows) < self._keep:
                said = ";".join(map(str, why)), "; ".join(one.english for one in why)
                self.held_rows.append(HeldRow(self.valid, line, number, self._text, *said))

    @property
    def reasons(self) -> list[str]:
        """Why a reviewer has to see the task, as far as the rows tell."""
        if self._rules is None or not self._plan.names:
            return self._of_all
        return self._rules.reasons()

    def _judge(self, written: str, values: list[str]) -> tuple[str, str, dict[str, object]]:
        """The number and no code, or the code of what is wrong with its detail."""
        try:
            number = numbers.normalize(written)
        except numbers.InvalidNumber:
            return "", "NUMBER_INVALID", {}
        for name, value in zip(self._plan.names, values, strict=True):
            if not value:
                return number, "CONTENT_VARIABLE_UNRESOLVED", {"name": name}
        key = int(number)
        if values:
            try:
                content = self._text = self._wording.fill(values)
            except Misfit as exc:
                return number, "TEMPLATE_PARAM_INVALID", {"name": exc.name}
            if len(content) > self._plan.room:
                return number, "CONTENT_TOO_LONG", {"length": len(content)}
            try:
                text.choose(content)
            except Unencodable:
                return number, "CONTENT_UNENCODABLE", {}
            if self._plan.one_each == "content":
                key = hash((key, content))
        if key in self._seen:
            return number, "NUMBER_DUPLICATE", {}
        self._seen.add(key)
        return number, "", {}
