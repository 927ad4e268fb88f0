"""Prometheus metrics, collected from the running parts when they are asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.process_collector import ProcessCollector

from smsgw.partners.service import Partners
from smsgw.pipeline.delivery.push import Pusher
from smsgw.runtime import clock

if TYPE_CHECKING:
    from smsgw.node.build import Node


class _Collector:
    def __init__(self, node: Node) -> None:
        self._node = node

    def collect(self) -> Iterator[Metric]:
        node = self._node
        yield GaugeMetricFamily(
            "smsgw_accept_waiting_parts", "Parts that wait for their accept commit", node.acceptor.waiting
        )
        yield GaugeMetricFamily(
            "smsgw_outcomes_waiting",
            "Answers, reports and messages that wait for their commit",
            node.outcomes.waiting,
        )
        spooling = node.acceptor.spooling
        yield GaugeMetricFamily(
            "smsgw_spool_octets", "Accepted while the database was away, not in it yet",
            spooling.octets if spooling else 0,
        )  # fmt: skip
        yield GaugeMetricFamily("smsgw_spool_calls", "Calls in the spool", spooling.calls if spooling else 0)
        yield GaugeMetricFamily(
            "smsgw_http_connections", "Connections to API and portal", node.connections.open
        )
        yield GaugeMetricFamily(
            "smsgw_http_connections_most", "How many there may be", node.connections.most
        )
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
            name: GaugeMetricFamily(f"smsgw_channel_{name}", text, labels=["channel"])
            for name, text in gauges.items()
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
        yield from _of_partners(node.partners)
        yield from _webhooks(node.pusher)
        yield GaugeMetricFamily("smsgw_block_list_entries", "Numbers on the block list", len(node.lists))
        yield GaugeMetricFamily(
            "smsgw_number_status_entries", "Empty and suspended numbers in memory", len(node.numbers)
        )


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
        "smsgw_partner_logins_slowed",
        "Logins that were refused without a look at the password",
        partners.slowed,
    )
    yield CounterMetricFamily(
        "smsgw_partner_parts_given_up",
        "Parts of long messages whose siblings did not come",
        partners.parts.given_up,
    )


def _webhooks(pusher: Pusher) -> Iterator[Metric]:
    names = ["account", "webhook"]
    waiting = GaugeMetricFamily(
        "smsgw_webhook_waiting", "Events that wait (counted up to 100,000)", labels=names
    )
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


def handler(node: Node) -> Callable[[web.Request], Awaitable[web.Response]]:
    """The handler of ``GET /metrics``."""
    registry = CollectorRegistry()
    registry.register(_Collector(node))
    ProcessCollector(registry=registry)

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(
            body=generate_latest(registry), headers={"Content-Type": "text/plain; version=0.0.4"}
        )

    return metrics
