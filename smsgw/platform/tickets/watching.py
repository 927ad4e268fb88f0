"""The time to respond to a ticket: an alarm when it is nearly over, and when it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from smsgw.core.alarm_rules import Rules
from smsgw.core.alarms import CRITICAL, OTHERS, WARNING, Finding
from smsgw.core.wording_json import Moment
from smsgw.core.words import phrase
from smsgw.runtime import clock
from smsgw.runtime.ttl_cache import TtlCache
from smsgw.store.engine.database import Database

LOOK_EVERY = 5.0
NAMED, OF_ONE = 99, 25
"""Tickets that are named, and of one account: who leaves many unanswered hides nobody else's."""
_DUE = f"""
SELECT t.id, t.respond_by, a.name AS account, t.n <= {OF_ONE} AS named FROM (
    SELECT id, account_id, respond_by, row_number() OVER (PARTITION BY account_id ORDER BY respond_by, id) AS n
    FROM ticket WHERE closed_at IS NULL AND responded_at IS NULL AND respond_by <= $1
) t JOIN account a ON a.id = t.account_id
ORDER BY named DESC, t.n, t.respond_by, t.id
"""  # noqa: S608 - constants


class TicketWatch:
    """Names tickets that nobody has responded to. What a ticket says stays in it: alarms leave the platform."""

    def __init__(self, database: Database, rules: Callable[[], Rules], now: Callable[[], datetime] = clock.now) -> None:
        self._database = database
        self._rules = rules
        self._now = now
        self.findings = TtlCache(LOOK_EVERY, self.due)
        """Those that it named last."""

    async def due(self) -> Sequence[Finding]:
        """Those that are due soon, or were."""
        now = self._now()
        near = timedelta(minutes=self._rules().of("ticket_response_near").values["minutes"])
        found = []
        rows = await self._database.fetch(_DUE, now + near)
        named = [row for row in rows[:NAMED] if row["named"]]
        rest = rows[len(named) :]
        for kind, severity, until in (("near", WARNING, now + near), ("over", CRITICAL, now)):
            if n := sum(row["respond_by"] <= until for row in rest):
                found.append(Finding(f"ticket_response_{kind}", OTHERS, severity, phrase("alarm.others", n=n)))
        for row in named:
            said = phrase("alarm.ticket_due", account=row["account"], by=Moment(row["respond_by"]))
            found.append(Finding("ticket_response_near", f"ticket/{row['id']}", WARNING, said))
            if row["respond_by"] <= now:
                found.append(Finding("ticket_response_over", f"ticket/{row['id']}", CRITICAL, said))
        return found
