"""What the alarms of a node look at: its channels, disks, writers, database, reports and complaints."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from smsgw.core.alarms import CRITICAL, WARNING, Finding
from smsgw.core.ids import CHINA
from smsgw.core.words import Wording, label, listed, phrase
from smsgw.node.parts import Parts
from smsgw.pipeline.outcomes import parking
from smsgw.pipeline.upkeep.alarms import Probe, channel_findings, standby_findings
from smsgw.runtime import clock
from smsgw.store.engine import partitions
from smsgw.store.messages import abroad, checking
from smsgw.store.records import alarms as store

OUTAGE = 5.0
"""Seconds without a commit, or without the database, that are an alarm."""


def probes(parts: Parts) -> dict[str, Probe]:
    """All probes of a node, by name."""
    node = f"node/{parts.settings.node.number}"

    def here(kind: str, problem: Callable[[], Wording | None], after: float = 0.0) -> Probe:
        async def probe() -> Iterable[Finding]:
            detail = problem()
            return [Finding(kind, node, CRITICAL, detail, after)] if detail is not None else []

        return probe

    def stalled() -> Wording | None:
        writers = {
            "accept": parts.acceptor.outage,
            "outcomes": parts.outcomes.outage,
            "push": parts.pusher.outage,
        }
        stuck = [label("writer", name) for name, seconds in writers.items() if seconds > OUTAGE]
        return phrase("alarm.writer", writers=listed(stuck)) if stuck else None

    async def channels() -> Iterable[Finding]:
        status, settings = parts.channels.status(), parts.snapshots.current.settings
        return [
            *channel_findings(status, settings),
            *standby_findings(parts.snapshots.current.table, status, settings),
        ]

    async def spool() -> Iterable[Finding]:
        spooling = parts.acceptor.spooling
        return spooling.findings(node) if spooling else []

    async def complaints() -> Iterable[Finding]:
        return parts.lists.findings()

    async def unknown_codes() -> Iterable[Finding]:
        names = {c.id: c.name for c in parts.channels.status()}
        return [
            Finding(
                "unknown_code", f"channel/{names.get(channel_id, channel_id)}", WARNING,
                phrase("alarm.unlisted", codes=listed(codes)),
            )
            for channel_id, codes in parts.outcomes.retrying.unlisted_codes().items()
        ]  # fmt: skip

    async def claims() -> Iterable[Finding]:
        return [
            Finding("claims_lost", f"channel/{name}", WARNING, phrase("alarm.claims", n=lost))
            for name, lost in parts.channels.lost_claims().items()
        ]

    async def facts() -> Iterable[Finding]:
        return await parking.findings(parts.database)

    async def unmatched() -> Iterable[Finding]:
        return [
            Finding(
                "unmatched_reports", f"channel/{row['channel']}", WARNING,
                phrase("alarm.unmatched", unmatched=row["unmatched"], matched=row["matched"]),
            )
            for row in await store.unmatched_reports(parts.database)
        ]  # fmt: skip

    async def clocks() -> Iterable[Finding]:
        detail, grave = clock.trouble()
        return [Finding("clock_wrong", node, CRITICAL if grave else WARNING, detail)] if detail is not None else []

    async def missing() -> Iterable[Finding]:
        today = clock.now().astimezone(CHINA).date()
        detail = await partitions.trouble(parts.database, parts.ids.newest_made, today)
        return [Finding("partition_missing", "database", CRITICAL, detail)] if detail is not None else []

    async def stalls() -> Iterable[Finding]:
        detail = parts.watchdog.trouble()
        return [Finding("loop_stalled", node, WARNING, detail)] if detail is not None else []

    async def guessing() -> Iterable[Finding]:
        return parts.guesses.findings(node, clock.steady())

    async def held() -> Iterable[Finding]:
        days = [str(day) for day in parts.maintenance.kept[:10]]
        detail = phrase("alarm.retention", days=listed(days))
        return [Finding("retention_held", "database", WARNING, detail)] if days else []

    return {
        "clocks": clocks,
        "stalls": stalls,
        "partitions": missing,
        "retention": held,
        "database": here("database_down", lambda: phrase("alarm.no_answer") if parts.heartbeat.away else None, OUTAGE),
        "writers": here("writer_stalled", stalled),
        "disk": here("disk_low", lambda: parts.acceptor.disk.low),
        "journal": here("journal_full", lambda: phrase("alarm.journal_full") if parts.journal.full else None),
        "audit": parts.auditing.findings,
        "evidence": parts.evidencing.findings,
        "spool": spool,
        "channels": channels,
        "claims": claims,
        "complaints": complaints,
        "unknown_codes": unknown_codes,
        "unmatched": unmatched,
        "facts": facts,
        "guessing": guessing,
        "figures": lambda: checking.findings(parts.database),
        "success": parts.successes.findings,
        "shifted": parts.shifting.findings,
        "abroad": lambda: abroad.findings(parts.database),
        "reviews": parts.reviewing.findings,
        "signs": parts.reminders.findings,
        "tasks": parts.tasks.findings,
        "webhooks": parts.pusher.findings,
    }
