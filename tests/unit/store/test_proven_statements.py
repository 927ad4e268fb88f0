"""No statement makes a part delivered without its evidence: those that could are found by what they write."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

import pytest

import smsgw.store.messages
from smsgw.core.states import PartState
from smsgw.runtime import clock
from smsgw.store.messages import cancellation, outcomes
from smsgw.store.messages.evidence import DECISION, PROOF

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


def test_every_statement_that_may_make_a_delivery_brings_its_evidence() -> None:
    may = {name for name, text in _statements() if _may_deliver(text)}
    proven = {name for name, text in _statements() if (PROOF in text or DECISION in text) and "UPDATE part" in text}
    assert proven == {
        "smsgw.store.messages.outcomes._REPORTS", "smsgw.store.messages.reattempt._LATE",
        "smsgw.store.messages.sweeps._DECIDE_UNKNOWN", "smsgw.store.messages.restored._END",
    }  # fmt: skip
    assert may == proven | CLOSED.keys()


async def test_what_the_closed_ones_are_given_is_no_delivery() -> None:
    assert PartState.DELIVERED not in outcomes._TARGET.values()
    with pytest.raises(ValueError, match="DELIVERED"):
        await cancellation.end_waiting(None, [1], PartState.DELIVERED, "", "", clock.now())  # type: ignore[arg-type]
    assert _may_deliver("UPDATE part p SET state = 40, code = '' WHERE p.id = 1")
    assert _may_deliver("UPDATE part p SET state = f.state FROM f")
    assert _may_deliver("UPDATE part p SET code = 'x', state = $3 WHERE p.id = 1")
    assert not _may_deliver("UPDATE part p SET state = CASE WHEN p.state = 40 THEN 10 ELSE 11 END WHERE p.id = 1")
