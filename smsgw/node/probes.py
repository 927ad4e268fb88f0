"""What the alarms of a node look at: its channels, disks, writers, database, reports and complaints."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from smsgw.core.alarms import CRITICAL, WARNING, Finding
from smsgw.core.ids import CHINA
from smsgw.pipeline.outcomes import parking
from smsgw.pipeline.upkeep.alarms import Probe, channel_findings, standby_findings
from smsgw.runtime import clock
from smsgw.store.engine import partitions
from smsgw.store.messages import abroad
from smsgw.store.records import alarms as store

if TYPE_CHECKING:
    from smsgw.node.life import Daemon

OUTAGE = 5.0
"""Seconds without a commit, or without the database, that are an alarm."""


def probes(daemon: Daemon) -> dict[str, Probe]:
    """All probes of a node, by name."""
    node = f"node/{daemon.settings.node.number}"

    def here(kind: str, problem: Callable[[], str], after: float = 0.0) -> Probe:
        async def probe() -> Iterable[Finding]:
            detail = problem()
            return [Finding(kind, node, CRITICAL, detail, after)] if detail else []

        return probe

    def stalled() -> str:
        parts = {
            "accept": daemon.acceptor.outage,
            "outcomes": daemon.outcomes.outage,
            "push": daemon.pusher.outage,
        }
        return ", ".join(f"writer {n} is stuck" for n, seconds in parts.items() if seconds > OUTAGE)

    async def channels() -> Iterable[Finding]:
        status, settings = daemon.channels.status(), daemon.snapshots.current.settings
        return [
            *channel_findings(status, settings),
            *standby_findings(daemon.snapshots.current.table, status, settings),
        ]

    async def spool() -> Iterable[Finding]:
        spooling = daemon.acceptor.spooling
        return spooling.findings(node) if spooling else []

    async def complaints() -> Iterable[Finding]:
        return daemon.lists.findings()

    async def unknown_codes() -> Iterable[Finding]:
        names = {c.id: c.name for c in daemon.channels.status()}
        return [
            Finding(
                "unknown_code", f"channel/{names.get(channel_id, channel_id)}", WARNING,
                "codes without a meaning in the last 10 minutes: " + ", ".join(codes),
            )
            for channel_id, codes in daemon.outcomes.retrying.unlisted_codes().items()
        ]  # fmt: skip

    async def claims() -> Iterable[Finding]:
        return [
            Finding(
                "claims_lost", f"channel/{name}", WARNING,
                f"{parts} claimed parts were in nobody's hands in the last 10 minutes; they were not sent and are back",
            )
            for name, parts in daemon.channels.lost_claims().items()
        ]  # fmt: skip

    async def facts() -> Iterable[Finding]:
        return await parking.findings(daemon.database)

    async def unmatched() -> Iterable[Finding]:
        return [
            Finding(
                "unmatched_reports", f"channel/{row['channel']}", WARNING,
                f"{row['unmatched']} reports of the last hour belong to no message, {row['matched']} do",
            )
            for row in await store.unmatched_reports(daemon.database)
        ]  # fmt: skip

    async def clocks() -> Iterable[Finding]:
        detail, grave = clock.trouble()
        return [Finding("clock_wrong", node, CRITICAL if grave else WARNING, detail)] if detail else []

    async def missing() -> Iterable[Finding]:
        today = clock.now().astimezone(CHINA).date()
        detail = await partitions.trouble(daemon.database, daemon.ids.newest_made, today)
        return [Finding("partition_missing", "database", CRITICAL, detail)] if detail else []

    async def stalls() -> Iterable[Finding]:
        detail = daemon.watchdog.trouble()
        return [Finding("loop_stalled", node, WARNING, detail)] if detail else []

    async def guessing() -> Iterable[Finding]:
        return daemon.guesses.findings(node, clock.steady())

    async def held() -> Iterable[Finding]:
        days = ", ".join(map(str, daemon.keeper.kept[:10]))
        detail = f"unfinished parts keep these days beyond their retention: {days}"
        return [Finding("retention_held", "database", WARNING, detail)] if days else []

    return {
        "clocks": clocks,
        "stalls": stalls,
        "partitions": missing,
        "retention": held,
        "database": here("database_down", lambda: "" if daemon.database_ok else "no answer", OUTAGE),
        "writers": here("writer_stalled", stalled),
        "disk": here("disk_low", lambda: daemon.acceptor.disk.low),
        "journal": here("journal_full", lambda: "disk full?" if daemon.journal.full else ""),
        "audit": daemon.auditing.findings,
        "spool": spool,
        "channels": channels,
        "claims": claims,
        "complaints": complaints,
        "unknown_codes": unknown_codes,
        "unmatched": unmatched,
        "facts": facts,
        "guessing": guessing,
        "abroad": lambda: abroad.findings(daemon.database),
        "reviews": daemon.reviewing.findings,
        "webhooks": daemon.pusher.findings,
    }
