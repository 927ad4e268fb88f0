"""What the alarms of a node look at: its channels, disks, writers, database, reports and complaints."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from smsgw.core.alarm_rules import Rules
from smsgw.core.alarms import CRITICAL, WARNING, Finding
from smsgw.core.ids import CHINA
from smsgw.core.wording_json import unpacked
from smsgw.core.words import Wording, label, listed, phrase
from smsgw.node import control_client
from smsgw.node.parts import Parts
from smsgw.pipeline.accept.spooling import damaged
from smsgw.pipeline.outcomes import parking
from smsgw.pipeline.upkeep.alarms import Probe, channel_findings, standby_findings
from smsgw.platform.links import queries as link_queries
from smsgw.runtime import clock, worker_pool
from smsgw.store.engine import partitions, rows
from smsgw.store.engine.server_versions import is_faulty
from smsgw.store.messages import abroad, checking
from smsgw.store.records import alarms as store

ASK_EDGE_WITHIN = 2.0
EDGE_BEGINS_WITHIN = 15.0
"""Seconds without an answer of the edge after which nobody knows what it does."""


async def _of_edge(root: Path, about: str) -> list[Finding]:
    """What is wrong with the edge of an installation, told ``about`` the node that asks."""
    socket = worker_pool.folder_of(root, worker_pool.EDGE) / worker_pool.CONTROL
    try:
        said = await control_client.call(socket, "GET", f"/edge/findings?about={about}", timeout_s=ASK_EDGE_WITHIN)
        return [Finding(kind, object_, severity, unpacked(detail)) for kind, object_, severity, detail in said]
    except (control_client.DaemonAway, control_client.DaemonRefusal, ValueError, TypeError):
        # It is not there, or is of another release and says what we do not understand.
        return [Finding("links_stale", about, WARNING, phrase("alarm.links_never"), after=EDGE_BEGINS_WITHIN)]


def probes(parts: Parts) -> dict[str, Probe]:
    """All probes of a node, by name."""
    node = f"node/{parts.settings.node.number}"

    def rules() -> Rules:
        return parts.snapshots.current.alarm_rules

    def here(kind: str, problem: Callable[[], Wording | None], severity: str = CRITICAL) -> Probe:
        async def probe() -> Iterable[Finding]:
            detail = problem()
            return [Finding(kind, node, severity, detail)] if detail is not None else []

        return probe

    def stalled() -> Wording | None:
        limit = rules().threshold("writer_stalled")
        writers = {"accept": parts.acceptor.outage, "outcomes": parts.outcomes.outage, "push": parts.pusher.outage}
        stuck = [label("writer", name) for name, seconds in writers.items() if seconds > limit]
        return phrase("alarm.writer", writers=listed(stuck)) if stuck else None

    async def channels() -> Iterable[Finding]:
        status = parts.channels.status()
        return [
            *channel_findings(status),
            *standby_findings(parts.snapshots.current.table, status, rules()),
            *parts.measures.near_limit(status),
        ]

    def filling() -> Wording | None:
        free, limit = parts.acceptor.disk.free_percent, rules().threshold("disk_filling", node)
        if free is None:
            return phrase("alarm.disk_unknown")
        return phrase("alarm.disk_filling", free=f"{free:.1f}", limit=limit) if free < limit else None

    async def spool() -> Iterable[Finding]:
        spooling, place = parts.acceptor.spooling, parts.place
        gone = worker_pool.beyond(place.root, place.of).values() if place.worker == 1 else ()
        kept = [path for folder in gone for path in worker_pool.kept(folder)]
        return spooling.findings(node, kept) if spooling else damaged(node, kept)

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
        values = rules().of("unmatched_reports").values
        if not rules().wanted("unmatched_reports"):
            return []
        return [
            Finding(
                "unmatched_reports", f"channel/{row['channel']}", WARNING,
                phrase("alarm.unmatched", unmatched=row["unmatched"], matched=row["matched"]),
            )
            for row in await store.unmatched_reports(parts.database, values["least"], values["threshold"])
        ]  # fmt: skip

    async def clocks() -> Iterable[Finding]:
        detail, grave = clock.trouble()
        return [Finding("clock_wrong", node, CRITICAL if grave else WARNING, detail)] if detail is not None else []

    async def missing() -> Iterable[Finding]:
        today = clock.now().astimezone(CHINA).date()
        detail = await partitions.trouble(parts.database, parts.ids.newest_made, today)
        return [Finding("partition_missing", "database", CRITICAL, detail)] if detail is not None else []

    async def server_version() -> Iterable[Finding]:
        version = str(await parts.database.fetchval("SHOW server_version"))
        detail = phrase("alarm.faulty_server", version=version)
        return [Finding("database_faulty", "database", CRITICAL, detail)] if is_faulty(version) else []

    async def unreadable() -> Iterable[Finding]:
        return rows.findings(node)

    async def stalls() -> Iterable[Finding]:
        detail = parts.watchdog.trouble(rules().threshold("loop_stalled"))
        return [Finding("loop_stalled", node, WARNING, detail)] if detail is not None else []

    async def guessing() -> Iterable[Finding]:
        return parts.guesses.findings(node, clock.steady())

    async def redis() -> Iterable[Finding]:
        return parts.neighbours.findings(node)

    async def links() -> Iterable[Finding]:
        if not parts.settings.public.listen:
            return await link_queries.unserved(parts.database, parts.settings.public.hosts)
        if parts.place.edge:
            return await _of_edge(parts.place.root, node) if parts.place.worker == 1 else []
        return [*parts.links.findings(node), *parts.clicks.findings(node)]

    async def held() -> Iterable[Finding]:
        days = [str(day) for day in parts.maintenance.kept[:10]]
        detail = phrase("alarm.retention", days=listed(days))
        if days:
            return [Finding("retention_held", "database", WARNING, detail)]
        late = [str(day) for day in parts.forgetting.late[:10]]
        detail = phrase("alarm.masking", days=listed(late))
        return [Finding("retention_held", "database", WARNING, detail)] if late else []

    return {
        "clocks": clocks,
        "redis": redis,
        "stalls": stalls,
        "partitions": missing,
        "server_version": server_version,
        "rows": unreadable,
        "retention": held,
        "database": here("database_down", lambda: phrase("alarm.no_answer") if parts.heartbeat.away else None),
        "writers": here("writer_stalled", stalled),
        "filling": here("disk_filling", filling, WARNING),
        "measures": parts.measures.findings,
        "absent": parts.measures.absent,
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
        "links": links,
        "figures": lambda: checking.findings(parts.database),
        "success": parts.successes.findings,
        "lateness": parts.lateness.findings,
        "shifted": parts.shifting.findings,
        "abroad": lambda: abroad.findings(parts.database),
        "reviews": parts.reviewing.findings,
        "signs": parts.reminders.findings,
        "faults": parts.faults.findings,
        "tickets": parts.tickets.findings,
        "backups": parts.backups.findings,
        "tasks": parts.tasks.findings,
        "webhooks": parts.pusher.findings,
    }
