"""Changes of a route table: what differs between two documents, and two people's changes of one brought together.

Documents are those of ``core.routes``. Pools and rules are known by their names: one that was renamed is another one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from smsgw.core.routes import CONDITIONS

Document = Mapping[str, Any]
Table = dict[str, Any]
KINDS = ("pool", "rule")


@dataclass(frozen=True, slots=True)
class Difference:
    """What became of a pool or a rule."""

    kind: str
    """One of ``KINDS``."""
    name: str
    what: str
    """``added``, ``removed``, ``changed``, or of a rule ``moved``: another rule comes before it now."""
    before: Table | None
    after: Table | None


def tidy(document: Document) -> dict[str, list[Table]]:
    """A sound document with everything written out, so that what means the same is the same."""
    return {"pool": [_pool(one) for one in document.get("pool", [])],
            "rule": [_rule(one) for one in document.get("rule", [])]}  # fmt: skip


def _pool(table: Mapping[str, Any]) -> Table:
    members = []
    for given in table["channels"]:
        one = {"name": given} if isinstance(given, str) else given
        members.append({"name": one["name"], "weight": one.get("weight", 1), "standby": one.get("standby", False)})
    return {"name": table["name"], "channels": members}


def _rule(table: Mapping[str, Any]) -> Table:
    made: Table = {"name": table["name"]}
    for key in CONDITIONS:
        if key in table:
            made[key] = [table[key]] if isinstance(table[key], str) else list(table[key])
    if "hours" in table:
        made["hours"] = table["hours"]
    return made | {"pool": table["pool"]}


def differences(before: Document, after: Document) -> list[Difference]:
    """What has changed, pools first; in the order of the document after it, what is gone behind that."""
    old, new = tidy(before), tidy(after)
    found: list[Difference] = []
    for kind in KINDS:
        was, now = _by_name(old[kind]), _by_name(new[kind])
        moved = _moved(list(was), list(now)) if kind == "rule" else set()
        for name, table in now.items():
            if name not in was:
                found.append(Difference(kind, name, "added", None, table))
            elif was[name] != table:
                found.append(Difference(kind, name, "changed", was[name], table))
            elif name in moved:
                found.append(Difference(kind, name, "moved", table, table))
        found += [Difference(kind, name, "removed", was[name], None) for name in was if name not in now]
    return found


def _by_name(tables: Iterable[Table]) -> dict[str, Table]:
    return {table["name"]: table for table in tables}


def _moved(before: Sequence[str], after: Sequence[str]) -> set[str]:
    """Those in both that have changed their place among each other: as few as explain it."""
    both = set(before) & set(after)
    old, new = [n for n in before if n in both], [n for n in after if n in both]
    kept = {old[n] for block in SequenceMatcher(None, old, new, autojunk=False).get_matching_blocks()
            for n in range(block.a, block.a + block.size)}  # fmt: skip
    return both - kept


@dataclass(frozen=True, slots=True)
class Merged:
    """Two changes of one document brought together."""

    document: dict[str, list[Table]]
    clashes: tuple[tuple[str, str], ...]
    """(kind, name) of what both have changed, each in another way: it is as ``mine`` has it."""


def merge(base: Document, mine: Document, theirs: Document) -> Merged:
    """``mine`` on top of ``theirs``, both made from ``base``. Pools that a rule of the outcome leads to stay."""
    was, own, other = tidy(base), tidy(mine), tidy(theirs)
    clashes: list[tuple[str, str]] = []
    made: dict[str, list[Table]] = {}
    for kind in KINDS:
        old, ours, new = (_by_name(tables[kind]) for tables in (was, own, other))
        chosen: dict[str, Table] = {}
        for name in _order(list(old), list(ours), list(new)):
            before, here, there = old.get(name), ours.get(name), new.get(name)
            if here != before and there not in (before, here):
                clashes.append((kind, name))
            pick = there if here == before else here
            if pick is not None:
                chosen[name] = pick
        made[kind] = list(chosen.values())
    wanted = {rule["pool"] for rule in made["rule"]}
    kept = {pool["name"] for pool in made["pool"]}
    lost = _by_name([*other["pool"], *own["pool"]])
    made["pool"] += [table for name, table in lost.items() if name in wanted - kept]
    return Merged(made, tuple(clashes))


def _order(base: Sequence[str], mine: Sequence[str], theirs: Sequence[str]) -> list[str]:
    """All names: in my order where I have changed it, else in theirs; each of the other's behind the one that it stood
    behind there."""
    lead, rest = (mine, theirs) if _moved(base, mine) else (theirs, mine)
    order = list(lead)
    for n, name in enumerate(rest):
        if name not in order:
            behind = next((one for one in reversed(rest[:n]) if one in order), None)
            order.insert(0 if behind is None else order.index(behind) + 1, name)
    return order + [name for name in base if name not in order]
