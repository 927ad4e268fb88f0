"""Statements: which may deliver, which days they name, and what they are made of."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from typing import Any, cast

import pytest
from adversarial import BOUND, cost
from hypothesis import given, strategies as st

import smsgw.store.messages
from smsgw.core.ids import day_end, day_of, day_range, day_start, first_id
from smsgw.core.model import TEST_CHANNEL, TEST_POOL
from smsgw.core.states import PartState
from smsgw.runtime import clock
from smsgw.store.engine import dumps, embedded
from smsgw.store.engine.days import named
from smsgw.store.messages import cancellation, outcomes
from smsgw.store.messages.events import EVENT_TYPES
from smsgw.store.messages.evidence import DECISION, PROOF
from smsgw.store.messages.inbound import Key, Layer, layers

_WRITES = re.compile(r"UPDATE part\b.*?\bSET\b(.*?)(?:\bFROM\b|\bWHERE\b|\bRETURNING\b|$)", re.DOTALL)
_STATE = re.compile(r"(?<![.\w])state = (.*?)(?:,\s*\w+ = |$)", re.DOTALL)
CLOSED = {
    "smsgw.store.messages.outcomes._ANSWERS": "its states are those of _TARGET",
    "smsgw.store.messages.reattempt._LEAVE": "what it is given are times, of a condition",
    "smsgw.store.messages.cancellation._END_WAITING": "it ends what waits, and refuses any other state",
}
"""Statements whose state comes from outside, and why it is never a delivery."""


def _statements() -> Iterator[tuple[str, str]]:
    root = Path(smsgw.store.messages.__file__).parent
    for found in walk_packages([str(root)], "smsgw.store.messages."):
        module = import_module(found.name)
        names = {
            target.id
            for node in ast.parse(Path(str(module.__file__)).read_text()).body if isinstance(node, ast.Assign)
            for target in node.targets if isinstance(target, ast.Name)
        }  # fmt: skip
        for name in sorted(names):
            if isinstance(text := getattr(module, name), str):
                yield f"{found.name}.{name}", text


def _may_deliver(text: str) -> bool:
    """Whether it writes a state that could be "delivered": by number, or whatever it is given."""
    for written in _WRITES.findall(text):
        for value in _STATE.findall(written):
            plain = re.sub(r"\bCASE\b|\bWHEN\b.*?\bTHEN\b", " ", value, flags=re.DOTALL)
            if re.search(rf"\b{PartState.DELIVERED.value}\b|\$\d|\b[a-z]\.state\b", plain):
                return True
    return False


async def test_every_statement_that_may_make_a_delivery_brings_its_evidence() -> None:
    may = {name for name, text in _statements() if _may_deliver(text)}
    proven = {name for name, text in _statements() if (PROOF in text or DECISION in text) and "UPDATE part" in text}
    assert proven == {
        "smsgw.store.messages.outcomes._REPORTS", "smsgw.store.messages.reattempt._LATE",
        "smsgw.store.messages.sweeps._DECIDE_UNKNOWN", "smsgw.store.messages.restored._END",
    }  # fmt: skip
    assert may == proven | CLOSED.keys()
    assert PartState.DELIVERED not in outcomes._TARGET.values()  # what the closed ones are given is no delivery
    with pytest.raises(ValueError, match="DELIVERED"):
        await cancellation.end_waiting(None, [1], PartState.DELIVERED, "", "", clock.now())  # type: ignore[arg-type]
    assert _may_deliver("UPDATE part p SET state = 40, code = '' WHERE p.id = 1")
    assert _may_deliver("UPDATE part p SET state = f.state FROM f")
    assert _may_deliver("UPDATE part p SET code = 'x', state = $3 WHERE p.id = 1")
    assert not _may_deliver("UPDATE part p SET state = CASE WHEN p.state = 40 THEN 10 ELSE 11 END WHERE p.id = 1")


NOON = first_id(datetime(2026, 11, 30, 4, tzinfo=UTC))
START = day_range(day_of(NOON))[0]


def test_each_lower_bound_says_its_day_beside_it() -> None:
    low, high = day_range(day_of(NOON))
    assert [day_start(id_) for id_ in (low - 1, low, NOON, high - 1, high)] == [
        day_range(day_of(low) - timedelta(days=1))[0], low, low, low, high,
    ]  # fmt: skip
    for id_ in (0, 1, -1, 2**62):
        assert (day_start(id_), day_end(id_)) == day_range(day_of(id_))
    statement = "SELECT FROM part p JOIN message m ON m.id = p.id AND m.id >= $2 WHERE p.state = $1 OR p.id >= $2"
    assert named(statement, (10, NOON)) == (
        f"SELECT FROM part p JOIN message m ON m.id = p.id AND (m.id >= $2 AND m.id >= {START}) "
        f"WHERE p.state = $1 OR (p.id >= $2 AND p.id >= {START})"
    )
    statement = "SELECT FROM event WHERE id >= $1 AND at > $2 AND id >= $3"
    texts = {named(statement, (NOON + n, None, START - 1)) for n in range(3)}
    assert texts == {
        f"SELECT FROM event WHERE (id >= $1 AND id >= {START}) AND at > $2 "
        f"AND (id >= $3 AND id >= {day_start(START - 1)})"
    }
    statement = "SELECT FROM part WHERE id >= $1 AND id >= $2"
    assert named(statement, (None, NOON)) == f"SELECT FROM part WHERE id >= $1 AND (id >= $2 AND id >= {START})"
    for statement in (  # what is no plain bound stays as it is
        "SELECT 1", "SELECT FROM part WHERE id = $1", "SELECT FROM part WHERE id > $1 AND id <= $1 AND $1 >= id",
        "SELECT FROM part p WHERE (p.pool_id, p.id) >= (1, $1)", "SELECT FROM evidence WHERE id >= $1 - 60",
        "SELECT FROM evidence WHERE id >= $1+ 60", "SELECT FROM part WHERE message_id >= $1 AND +p.id >= $1",
        "SELECT FROM part WHERE id >= $12", "SELECT FROM part WHERE id >= $1::bigint",
    ):  # fmt: skip
        assert named(statement, (NOON,)) == statement


@pytest.mark.parametrize("most", [NOON + 9, [NOON + 9, NOON + 1], (NOON,)])
def test_a_statement_says_up_to_which_ids_it_goes(most: object) -> None:
    statement = "\n-- ids from $1 to $2\nSELECT FROM part WHERE id >= $1 AND id <> ALL($2) AND id >= $3"
    low, end = NOON - 86_400_000 * 2**22, day_end(NOON)
    bounds = f"(id >= $1 AND id >= {day_start(low)} AND id < ANY ('{{{end}}}'))"
    assert named(statement, (low, most, NOON)) == (
        f"\n-- ids from $1 to $2\nSELECT FROM part WHERE {bounds} AND id <> ALL($2) AND (id >= $3 AND id >= {START})"
    )


@pytest.mark.parametrize("most", [2**63 - 1, [], [NOON - 1], NOON - 1, None, "x"])
def test_an_end_that_is_none_is_not_named(most: object) -> None:
    """The highest number there is, none, one below where it begins: days behind stay in the plan."""
    statement = "-- ids from $1 to $2\nSELECT FROM part WHERE {} AND id <= $2"
    assert named(statement.format("id >= $1"), (NOON, most)) == statement.format(f"(id >= $1 AND id >= {START})")


S = PartState
MIDDAY = datetime(2026, 1, 1, 12, tzinfo=UTC)


def part(number: int, state: PartState, *, answered: int | None = 1, final: int = 9, **more: Any) -> dict[str, Any]:
    """A row of ``part``; times are seconds after noon."""
    return {
        "id": 7, "part": number, "total": 3, "state": int(state), "account_id": 5, "by_us": False,
        "code": f"C{number}", "class": f"K{number}", "channel_id": 1, "pool_id": 2,
        "claimed_at": MIDDAY, "answered_at": None if answered is None else MIDDAY + timedelta(seconds=answered),
        "final_at": MIDDAY + timedelta(seconds=final),
    } | more  # fmt: skip


def event(*parts: dict[str, Any]) -> dict[str, Any]:
    made = outcomes._report_event(7, cast(Any, list(parts)), lambda: 99)
    return dict(zip(EVENT_TYPES, made, strict=True))


def test_the_first_of_the_worst_parts_is_told() -> None:
    for states, status, told in (
        ((S.DELIVERED, S.DELIVERED, S.DELIVERED), "delivered", 1),
        ((S.DELIVERED, S.UNDELIVERABLE, S.DELIVERED), "failed", 2),
        ((S.DELIVERED, S.UNDELIVERABLE, S.UNDELIVERABLE), "failed", 2),
        ((S.DELIVERED, S.DELIVERED, S.NO_REPORT), "no_report", 3),
        ((S.EXPIRED, S.REJECTED, S.UNDELIVERABLE), "failed", 3),
        ((S.REJECTED, S.UNCONFIRMED, S.UNDELIVERABLE), "unconfirmed", 2),
        ((S.CANCELLED, S.EXPIRED, S.DELIVERED), "expired", 2),
        ((S.DUPLICATE, S.DELIVERED, S.CANCELLED), "cancelled", 3),
    ):
        made = event(*(part(n, state) for n, state in enumerate(states, 1)))
        assert (made["status"], made["code"], made["class"]) == (status, f"C{told}", f"K{told}")
        assert made["parts_ok"] == states.count(S.DELIVERED)
        assert (made["id"], made["account_id"], made["kind"], made["message_id"]) == (99, 5, "report", 7)
    made = event(  # submitted and done
        part(1, S.DELIVERED, answered=4, final=8),
        part(2, S.DELIVERED, answered=2, final=11),
        part(3, S.DELIVERED, answered=3, final=10),
    )
    assert (made["submitted_at"], made["done_at"]) == (MIDDAY + timedelta(seconds=4), MIDDAY + timedelta(seconds=11))
    assert event(part(1, S.EXPIRED, answered=None))["submitted_at"] is None
    assert event(part(1, S.UNCONFIRMED, answered=None))["submitted_at"] == MIDDAY
    assert event(part(1, S.REJECTED, answered=1))["submitted_at"] == MIDDAY + timedelta(seconds=1)
    assert event(part(1, S.EXPIRED, answered=None, claimed_at=None))["submitted_at"] is None
    assert event(part(1, S.REJECTED, by_us=True))["status"] == "rejected"
    assert event(part(1, S.REJECTED))["status"] == "failed"
    row = part(1, S.REJECTED)
    del row["by_us"], row["pool_id"]
    assert (event(row)["status"], event(row)["test"]) == ("failed", False)
    assert event(part(1, S.DELIVERED, channel_id=TEST_CHANNEL))["test"]
    assert event(part(1, S.EXPIRED, channel_id=None, pool_id=TEST_POOL))["test"]


PARTS = st.lists(st.tuples(st.integers(1, 3), st.sampled_from("abcd")), max_size=12)


def searched(parts: list[tuple[int, str, Key]]) -> list[Layer]:
    """What it means: each part goes to the first layer that has no other text for its number."""
    found: list[Layer] = []
    for number, text, key in parts:
        layer = next((layer for layer in found if layer.get(number, (text,))[0] == text), None)
        if layer is None:
            layer = {}
            found.append(layer)
        layer.setdefault(number, (text, []))[1].append(key)
    return found


@given(PARTS)
def test_each_part_goes_to_the_first_message_that_it_may_belong_to(given_parts: list[tuple[int, str]]) -> None:
    parts = [(number, text, (1, str(n), "")) for n, (number, text) in enumerate(given_parts)]
    assert layers(parts) == searched(parts)


def test_thousands_under_one_reference() -> None:
    parts = [(1, f"text {n}", (1, str(n), "")) for n in range(10_000)]
    assert cost(lambda: layers(parts)) < BOUND


@pytest.fixture
def beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Programs of 17 from the distribution; the package has 16 and 18."""
    package = {major: tmp_path / "package" / str(major) for major in (16, 18)}
    own = tmp_path / "17" / "bin"
    for folder in (*package.values(), own):
        folder.mkdir(parents=True)
        for name in ("pg_dump", "pg_restore"):
            (folder / name).touch()
    monkeypatch.setattr(embedded, "programs", lambda: package)
    monkeypatch.setattr(dumps, "OWN_PROGRAMS", (f"{tmp_path}/{{major}}/bin",))
    return own


def test_which_program_dumps_and_which_loads(beside: Path, tmp_path: Path) -> None:
    """What reads a dump must be no older than what has made it."""
    assert dumps._program("pg_restore", 17) == tmp_path / "package" / "18" / "pg_restore"
    # Its release may keep in its catalog what only its own program leaves out.
    assert dumps._program("pg_dump", 17) == beside / "pg_dump"
    (beside / "pg_dump").unlink()
    assert dumps._program("pg_dump", 17) == tmp_path / "package" / "18" / "pg_dump"
