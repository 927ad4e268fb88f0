"""Who is told that a code was opened by a person for the first time: accounts that have asked for it by name."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from smsgw.core.ids import CHINA
from smsgw.pipeline.events import EventHub
from smsgw.pipeline.snapshot import Snapshots
from smsgw.store.engine.database import Connection, Row
from smsgw.store.messages import events

TYPE = "link.click"
# Whoever was told is not told again, also when clicks are judged again.
_FIRST = """
UPDATE link_visitor v SET told = true FROM unnest($1::bigint[], $2::int[]) AS d(link_id, n), short_link l
WHERE v.link_id = d.link_id AND v.n = d.n AND v.humans > 0 AND NOT v.told AND l.id = v.link_id
    AND l.account_id = ANY($3::bigint[])
RETURNING v.link_id, v.n, v.first_at, l.account_id, l.name, l.kind, l.version, l.target
"""


class FirstClicks:
    """Tells them on one node."""

    def __init__(self, snapshots: Snapshots, hub: EventHub, ids: Callable[[], int]) -> None:
        self._snapshots = snapshots
        self._hub = hub
        self._ids = ids

    async def enter(self, connection: Connection, codes: Sequence[tuple[int, int]]) -> Collection[int]:
        """Queue events about those of the codes (link, place) that were just clicked for the first time, in the
        transaction of the figures; the accounts, to be ``notify``ed behind it."""
        accounts = self._snapshots.current.hooks.subscribers(TYPE)
        if not accounts or not codes:
            return ()
        rows = await connection.fetch(_FIRST, [link for link, _ in codes], [n for _, n in codes], accounts)
        by_link: dict[int, list[Row]] = {}
        for row in rows:
            by_link.setdefault(row["link_id"], []).append(row)
        for link_id, some in sorted(by_link.items()):
            told = [(row["account_id"], _said(row)) for row in some]
            await events.record(connection, TYPE, told, ids=self._ids, subject=link_id)
        return {row["account_id"] for row in rows}

    def notify(self, accounts: Collection[int]) -> None:
        """What was recorded is committed."""
        if accounts:
            self._hub.notify(accounts, TYPE)


def _said(row: Row) -> dict[str, Any]:
    personal = row["kind"] == "personal"
    return {
        "link_id": str(row["link_id"]), "name": row["name"], "kind": row["kind"],
        "n": row["n"] + 1 if personal else None, "target": row["target"],
        "clicked_at": row["first_at"].astimezone(CHINA).isoformat(timespec="seconds"),
    }  # fmt: skip
