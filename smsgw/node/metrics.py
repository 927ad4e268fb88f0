"""Prometheus metrics, collected from the running parts when they are asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.process_collector import ProcessCollector

from smsgw.core.model import Lane
from smsgw.partners.service import Partners
from smsgw.pipeline.delivery.push import Pusher
from smsgw.platform.links.clicks import Clicks, Unkept
from smsgw.platform.links.table import LinkTable
from smsgw.runtime import clock

if TYPE_CHECKING:
    from smsgw.node.parts import Node


class _Collector:
    def __init__(self, node: Node) -> None:
        self._node = node

    def collect(self) -> Iterator[Metric]:
        node = self._node
        yield GaugeMetricFamily(
            "smsgw_accept_waiting_parts", "Parts that wait for their accept commit", node.acceptor.waiting
        )
        yield GaugeMetricFamily(
            "smsgw_outcomes_waiting", "Answers, reports and messages that wait for their commit", node.outcomes.waiting
        )
        spooling = node.acceptor.spooling
        yield GaugeMetricFamily(
            "smsgw_spool_octets",
            "Accepted while the database was away, not in it yet",
            spooling.octets if spooling else 0,
        )
        yield GaugeMetricFamily("smsgw_spool_calls", "Calls in the spool", spooling.calls if spooling else 0)
        yield GaugeMetricFamily("smsgw_http_connections", "Connections to API and portal", node.connections.open)
        yield GaugeMetricFamily("smsgw_http_connections_most", "How many there may be", node.connections.most)
        closed = CounterMetricFamily(
            "smsgw_http_connections_closed", "Connections that were closed to keep within the limits", labels=["reason"]
        )
        for reason_, times in node.connections.closed.items():
            closed.add_metric([reason_], times)
        yield closed
        tally = node.outcomes.tally
        unusual = CounterMetricFamily(
            "smsgw_outcomes_unusual", "Answers and reports out of the ordinary", labels=["kind"]
        )
        unusual.add_metric(["stale_answer"], tally.stale_answers)
        unusual.add_metric(["duplicate_report"], tally.duplicate_reports)
        unusual.add_metric(["unmatched_report"], tally.unmatched_reports)
        unusual.add_metric(["parked_fact"], node.outcomes.parked)
        unusual.add_metric(["unlisted_code"], node.outcomes.retrying.unlisted)
        yield unusual
        conflicts = CounterMetricFamily(
            "smsgw_writer_conflicts", "Commits repeated after a deadlock or a serialization failure", labels=["writer"]
        )
        conflicts.add_metric(["outcomes"], node.outcomes.conflicts)
        yield conflicts
        gauges = {
            "bound_links": "Links that are logged in",
            "window_used": "Submits without an answer",
            "window": "Submits that may be without an answer",
            "rate": "Submits per second over the last 5 seconds",
        }
        families = {
            name: GaugeMetricFamily(f"smsgw_channel_{name}", text, labels=["channel"]) for name, text in gauges.items()
        }
        reason = GaugeMetricFamily(
            "smsgw_channel_limited_by", "Why the channel is not faster", labels=["channel", "reason"]
        )
        for status in node.channels.status():
            families["bound_links"].add_metric([status.name], status.bound)
            families["window_used"].add_metric([status.name], status.window_used)
            families["window"].add_metric([status.name], status.window)
            families["rate"].add_metric([status.name], status.rate_now)
            reason.add_metric([status.name, status.reason], 1)
        yield from families.values()
        yield reason
        alarm = GaugeMetricFamily("smsgw_alarm", "Alarms that stand", labels=["kind", "object", "severity"])
        for standing in node.alarms.standing:
            alarm.add_metric([standing.kind, standing.object, standing.severity], 1)
        yield alarm
        yield from _stages(node)
        yield from _objectives(node)
        yield from _platform(node)
        yield from _of_partners(node.partners)
        yield from _webhooks(node.pusher)
        yield GaugeMetricFamily("smsgw_block_list_entries", "Numbers on the block list", len(node.lists))
        yield GaugeMetricFamily(
            "smsgw_number_status_entries", "Empty and suspended numbers in memory", len(node.numbers)
        )
        if node.settings.public.listen and not node.place.edge:
            yield from of_links(node.links, node.clicks)


def of_links(links: LinkTable, clicks: Clicks) -> Iterator[Metric]:
    """Short links and clicks on them, of a process that serves them."""
    yield GaugeMetricFamily("smsgw_links", "Short links that may be opened, in memory", len(links))
    age = GaugeMetricFamily("smsgw_links_age_seconds", "Since the links in memory were as the database has them")
    if links.age is not None:
        age.add_metric([], links.age)
    yield age
    yield CounterMetricFamily("smsgw_clicks_kept", "Clicks that were kept, each by itself", clicks.taken)
    unkept = CounterMetricFamily("smsgw_clicks_unkept", "Clicks that were counted only", labels=["reason"])
    for why in Unkept:
        unkept.add_metric([why.value], clicks.unkept[why])
    yield unkept
    yield GaugeMetricFamily("smsgw_clicks_waiting_octets", "Clicks that are not in the database yet", clicks.waiting)


def _stages(node: Node) -> Iterator[Metric]:
    """Where the time of a message goes: accept, queue, answer, report."""
    accept = HistogramMetricFamily("smsgw_accept_seconds", "From a call to its commit, of calls that were accepted")
    accept.add_metric([], node.acceptor.took.buckets, node.acceptor.took.sum)
    yield accept
    names, stages = {status.id: status.name for status in node.channels.status()}, node.outcomes.stages
    for name, text, histograms in (
        ("queue", "From the acceptance of a part to its claim, planned waiting included", stages.queued),
        ("answer", "From the claim of a part to the carrier's answer", stages.answered),
        ("report", "From the carrier's answer to the delivery report", stages.reported),
    ):
        family = HistogramMetricFamily(f"smsgw_{name}_seconds", text, labels=["channel"])
        for channel_id, one in histograms.items():
            family.add_metric([names.get(channel_id, str(channel_id))], one.buckets, one.sum)
        yield family
    ended = CounterMetricFamily("smsgw_channel_parts", "Parts that have ended, by result", labels=["channel", "result"])
    for (channel_id, result), n in stages.ended.items():
        ended.add_metric([names.get(channel_id, str(channel_id)), result], n)
    yield ended


def _objectives(node: Node) -> Iterator[Metric]:
    """What channels should come to, by the rules of alarms, and how fast they may be."""
    rules = node.snapshots.current.alarm_rules
    success = GaugeMetricFamily(
        "smsgw_channel_success_objective",
        "Share of parts that a channel should deliver (alarm rule success_low)",
        labels=["channel"],
    )
    limit = GaugeMetricFamily("smsgw_channel_rate_limit", "Submits per second that are allowed", labels=["channel"])
    for status in node.channels.status():
        success.add_metric([status.name], rules.threshold("success_low", f"channel/{status.name}") / 100)
        limit.add_metric([status.name], status.rate_limit)
    late = GaugeMetricFamily(
        "smsgw_channel_reports_late_ratio",
        "Share of the parts accepted by the carrier that had no report in time (alarm rule report_late)",
        labels=["channel"],
    )
    for one in node.lateness.seen:
        late.add_metric([one.channel], one.share)
    yield from (success, limit, late)


def _platform(node: Node) -> Iterator[Metric]:
    """What waits, and what the platform stands on; of the database as of the last look at it."""
    yield GaugeMetricFamily("smsgw_nodes", "Nodes that lived when the database answered last", node.heartbeat.live)
    yield GaugeMetricFamily("smsgw_database_up", "Whether the database answers", 0 if node.heartbeat.away else 1)
    disk = GaugeMetricFamily("smsgw_disk_free_ratio", "Free share of the fullest disk with data")
    if (free := node.acceptor.disk.free_percent) is not None:
        disk.add_metric([], free / 100)
    yield disk
    waiting = GaugeMetricFamily("smsgw_queue_waiting", "Messages that wait in a lane", labels=["lane"])
    oldest = GaugeMetricFamily(
        "smsgw_queue_oldest_seconds", "How long what goes next in a lane has been waiting", labels=["lane"]
    )
    missing = GaugeMetricFamily("smsgw_nodes_missing", "Nodes that were there and are not")
    standbys = GaugeMetricFamily("smsgw_database_standbys", "Standbys of the database")
    lag = GaugeMetricFamily("smsgw_database_standby_lag_seconds", "How far the last standby is behind")
    if (last := node.measures.waiting.last) is not None:
        queues = {one.lane: one for one in last.queues}
        for lane in Lane:
            one = queues.get(lane)
            if one is None or one.waiting is not None:  # else it is not known
                waiting.add_metric([lane.name.lower()], one.waiting or 0 if one else 0)
                since = one.oldest or last.at if one else last.at
                oldest.add_metric([lane.name.lower()], (last.at - since).total_seconds())
    if (absent := node.measures.missing.last) is not None:
        missing.add_metric([], len(absent))
    if (replication := node.measures.replication.last) is not None:
        standbys.add_metric([], replication.standbys)
        lag.add_metric([], replication.lag)
    yield from (waiting, oldest, missing, standbys, lag)


def _of_partners(partners: Partners) -> Iterator[Metric]:
    gauges = {
        "binds": "Binds of partners on this node",
        "unanswered": "Requests of partners without an answer",
        "deliveries": "Reports and messages that partners have not answered",
    }
    families = {
        name: GaugeMetricFamily(f"smsgw_partner_{name}", text, labels=["protocol", "user"])
        for name, text in gauges.items()
    }
    sums: Counter[tuple[str, str, str]] = Counter()
    for line in partners.status():
        who = (line["protocol"], line["user"])
        sums["binds", *who] += 1
        sums["unanswered", *who] += line["unanswered"]
        sums["deliveries", *who] += line["deliveries"]
    for (name, *labels), value in sums.items():
        families[name].add_metric(labels, value)
    yield from families.values()
    for family, text, labels, counts in (
        ("refusals", "Requests of partners that were refused", ["user", "code"], partners.refusals),
        ("logins", "Logins of partners", ["protocol", "result"], partners.logins),
        ("violations", "What partners have done against the protocol", ["user", "kind"], partners.violations),
    ):
        counter = CounterMetricFamily(f"smsgw_partner_{family}", text, labels=labels)
        for values, n in counts.items():
            counter.add_metric(list(values), n)
        yield counter
    yield CounterMetricFamily(
        "smsgw_partner_logins_slowed", "Logins that were refused without a look at the password", partners.slowed
    )
    yield CounterMetricFamily(
        "smsgw_partner_parts_given_up", "Parts of long messages whose siblings did not come", partners.parts.given_up
    )


def _webhooks(pusher: Pusher) -> Iterator[Metric]:
    names = ["account", "webhook"]
    waiting = GaugeMetricFamily("smsgw_webhook_waiting", "Events that wait (counted up to 100,000)", labels=names)
    oldest = GaugeMetricFamily("smsgw_webhook_oldest_seconds", "Age of the oldest of them", labels=names)
    failures = GaugeMetricFamily("smsgw_webhook_failures", "Failed calls in a row", labels=names)
    delivered = CounterMetricFamily("smsgw_webhook_delivered", "Events delivered", labels=names)
    failed = CounterMetricFamily("smsgw_webhook_failed_calls", "Calls that failed", labels=names)
    now = clock.now()
    for state in pusher.status():
        labels = [state.account, state.name]
        waiting.add_metric(labels, state.waiting)
        age = (now - state.oldest_at).total_seconds() if state.oldest_at else 0.0
        oldest.add_metric(labels, max(0.0, age))
        failures.add_metric(labels, state.failures)
        delivered.add_metric(labels, state.delivered)
        failed.add_metric(labels, state.calls_failed)
    yield from (waiting, oldest, failures, delivered, failed)


def _registry(node: Node) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(_Collector(node))
    ProcessCollector(registry=registry)
    return registry


def text(node: Node) -> bytes:
    """What ``GET /metrics`` says now."""
    return generate_latest(_registry(node))


def handler(node: Node) -> Callable[[web.Request], Awaitable[web.Response]]:
    """The handler of ``GET /metrics``."""
    registry = _registry(node)

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": "text/plain; version=0.0.4"})

    return metrics
