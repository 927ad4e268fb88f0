"""Parts of partners' long messages under one reference: whatever order they come in, none that was answered is left."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, strategies as st

from smsgw.partners.resubmits import IMPATIENT_AFTER, Answers
from smsgw.store.messages.partner_parts import Part, _Heap

START = datetime(2026, 12, 1, 4, 0, tzinfo=UTC)
TICK = timedelta(milliseconds=1)


@dataclass(eq=False)
class Line:
    number: int
    read_until: datetime | None = None


class Table:
    """Rows of one key, and their answers; each part is stored in a transaction of its own. Messages are joined at once
    when they are whole."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.now = START
        self.rows: dict[int, dict[str, Any]] = {}
        self.answers = Answers()
        self.sent: list[list[int]] = []
        self.abandoned: list[int] = []
        self._ids = itertools.count(1)
        self._undecided: list[tuple[Part, Line]] = []

    def come(self, n: int, text: str, line: Line, *, answered: bool = True) -> int:
        """The id that the part is answered with."""
        self.now += TICK
        part = Part(
            id=next(self._ids), account_id=1, partner_id=1, key="k", total=self.total, part=n, number="1",
            octets=text.encode(), coding="ucs2", extend_code="", reply="", urgent=False, send_at=None, expire_at=None,
            received_at=self.now,
        )  # fmt: skip
        self.answers.came(part, line)
        self._undecided.append((part, line))
        found = self._keep(decided=False)
        self.now += TICK
        if answered:
            for id_, by in found:
                self.answers.given(id_, by, self.now)
        return found[-1][0] if found else 0

    def decide(self) -> list[int]:
        """Nothing more comes: the ids that what was left is answered with."""
        return [id_ for id_, _ in self._keep(decided=True)]

    def _keep(self, *, decided: bool) -> list[tuple[int, Line]]:
        """What comes last is looked at first, as the others rest between their looks."""
        found = []
        for part, line in reversed(self._undecided[:]):
            heap = _Heap(self.answers)
            for row in self.rows.values():
                heap.enter(row)  # type: ignore[arg-type]
            kept = heap.keep(replace(part, decided=decided))
            for fresh, set_id in heap.fresh:
                self.rows[fresh.id] = {
                    "id": fresh.id, "total": self.total, "part": fresh.part, "octets": fresh.octets, "set_id": set_id,
                    "message_id": None, "received_at": fresh.received_at,
                }  # fmt: skip
            for id_, at in heap.seen.items():
                self.rows[id_]["received_at"] = at
            self.abandoned += heap.abandoned
            if kept.whole:
                self.sent.append(sorted(kept.whole))
                for id_ in kept.whole:
                    self.rows[id_]["message_id"] = 1000 + len(self.sent)
            if kept.id:
                self._undecided.remove((part, line))
                found.append((kept.id, line))
        return found[::-1]

    @property
    def texts(self) -> list[str]:
        """Of the messages that were sent."""
        said = [sorted((self.rows[i]["part"], self.rows[i]["octets"].decode()) for i in ids) for ids in self.sent]
        return sorted(" ".join(text for _, text in parts) for parts in said)

    @property
    def left(self) -> list[int]:
        """Parts that were answered and not sent."""
        return [id_ for id_, row in self.rows.items() if row["message_id"] is None]


Submit = tuple[int, int]
"""Message and part."""


def merged(lines: Sequence[Sequence[Submit]]) -> Iterator[list[tuple[int, Submit]]]:
    """All orders in which they can come: (line, submit), each line in its own order."""
    if not any(lines):
        yield []
    for n, line in enumerate(lines):
        if line:
            rest = [*lines[:n], line[1:], *lines[n + 1 :]]
            for tail in merged(rest):
                yield [(n, line[0]), *tail]


def text_of(submit: Submit, alike: str) -> str:
    """``alike``: which parts all messages have in common."""
    message, part = submit
    return f"x{part}" if str(part) in alike else f"{message}.{part}"


WAYS = {
    "a line each": [[(0, 1), (0, 2)], [(1, 1), (1, 2)], [(2, 1), (2, 2)]],
    "by turns": [[(0, 1), (1, 2)], [(0, 2), (2, 1)], [(1, 1), (2, 2)]],
    "a line a part": [[(0, 1), (1, 1), (2, 1)], [(0, 2), (1, 2), (2, 2)]],
    "a line a submit": [[(0, 1)], [(0, 2)], [(1, 1)], [(1, 2)]],
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("alike", ["2", "1", "12", ""])
@pytest.mark.parametrize("answered", [True, False])
def test_all_orders_of_a_few(way: str, alike: str, answered: bool) -> None:
    """Answered before the next one comes, or not yet."""
    lines = WAYS[way]
    messages = {message for line in lines for message, _ in line}
    for order in merged(lines):
        table = Table(2)
        known = [Line(n + 1) for n in range(len(lines))]
        ids = [table.come(s[1], text_of(s, alike), known[n], answered=answered) for n, s in order]
        assert len(set(ids)) == len(ids), order
        assert table.left == [], order
        assert len(table.sent) == len(messages), order
        if way == "a line each" or (alike == "2" and way == "a line a part"):
            wanted = sorted(" ".join(text_of((m, p), alike) for p in (1, 2)) for m in messages)
            assert table.texts == wanted, order


@given(st.data(), st.integers(2, 4), st.integers(1, 6), st.integers(1, 4))
def test_any_order_of_many(data: st.DataObject, total: int, messages: int, lines: int) -> None:
    table = Table(total)
    known = [Line(n + 1) for n in range(lines)]
    submits = [(message, part) for message in range(messages) for part in range(1, total + 1)]
    alike = data.draw(st.sampled_from(["", "2", "234", "1234"]))
    for submit in data.draw(st.permutations(submits)):
        table.come(
            submit[1], text_of(submit, alike), data.draw(st.sampled_from(known)), answered=data.draw(st.booleans())
        )
        if data.draw(st.booleans()):
            known[data.draw(st.integers(0, lines - 1))] = Line(100 + len(table.rows))  # logged out, and in again
    assert table.left == []
    assert len(table.sent) == messages


@given(st.integers(2, 4), st.data())
def test_what_was_not_answered_comes_again(total: int, data: st.DataObject) -> None:
    """A connection is lost; what had no answer comes again over another one, in any order, and is sent once."""
    table, first, second = Table(total), Line(1), Line(2)
    answered = data.draw(st.lists(st.booleans(), min_size=total, max_size=total))
    before = [table.come(n + 1, f"x{n}", first, answered=answered[n]) for n in range(total)]
    first.read_until = table.now
    again = data.draw(st.permutations([n for n in range(total) if not answered[n]]))
    assert [table.come(n + 1, f"x{n}", second) for n in again] == [0] * len(again)
    assert table.decide() == [before[n] for n in again]
    assert (len(table.sent), table.left) == (1, [])


@given(st.integers(2, 4), st.booleans(), st.data())
def test_another_message_that_ends_alike_after_a_loss(total: int, answered: bool, data: st.DataObject) -> None:
    """Nobody can tell whether the answers of the first have been read: the part that differs does."""
    table, first, second = Table(total), Line(1), Line(2)
    for n in range(total):
        table.come(n + 1, f"x{n}", first, answered=answered)
    first.read_until = START
    own = data.draw(st.integers(0, total - 1))
    for n in data.draw(st.permutations(range(total))):
        table.come(n + 1, "y" if n == own else f"x{n}", second)
    assert table.decide() == []
    assert (len(table.sent), table.left) == (2, [])


def test_what_was_answered_or_lies_long_back_is_another_message() -> None:
    table, first, second = Table(2), Line(1), Line(2)
    before = [table.come(n, f"x{n}", first) for n in (1, 2)]
    first.read_until = table.now + TICK
    after = [table.come(n, f"x{n}", second) for n in (2, 1)]
    assert not set(before) & set(after)
    assert len(table.sent) == 2
    table, line = Table(2), Line(1)  # an answer that takes too long is not waited for
    first = table.come(1, "x1", line, answered=False)
    table.now += IMPATIENT_AFTER
    assert table.come(1, "x1", line) == first
    assert table.come(1, "x1", line) != first, "its sender has the answer"
    table, line = Table(2), Line(1)  # half a message of long ago gives way
    half = table.come(1, "x1", line)
    table.now += timedelta(seconds=61)
    table.come(1, "y1", line)
    assert table.abandoned == [half]
