"""Definite failures are tried elsewhere, uncertain ones never, and reports find home: with real processes."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness import site
from trials import another_channel

from smsgw.simulator import Carrier, Rule

pytestmark = pytest.mark.shard("protocols")

TABLE = """
[[pool]]
name = "mobile"
channels = ["cmpp30", { name = "spare", standby = true }]

[[rule]]
name = "all"
pool = "mobile"
"""

FAILING = (
    Rule(contains="no route", report="NOROUTE"),
    Rule(contains="refused", answer=10),
    Rule(contains="vendor", answer=150),
    Rule(contains="uncertain", report="MC:0055"),
    Rule(contains="dead", report="MK:0001"),
    Rule(contains="unlisted", report="QX:0007"),
)
# text: (taken by the first channel's carrier, by the spare one's, the customer's end)
ENDS = {
    "no route": (1, 1, "delivered"),
    "refused": (0, 1, "delivered"),
    "vendor": (0, 0, "failed"),
    "uncertain": (1, 0, "failed"),
    "dead": (1, 0, "failed"),
    "unlisted": (1, 0, "failed"),
    "sound": (1, 0, "delivered"),
}


def taken(carrier: Carrier, text: str) -> int:
    """How many messages with this in their text a carrier has accepted."""
    return sum(text in message.text for message in carrier.messages)


async def test_every_kind_of_failure_goes_where_the_table_says(dsn: str, data_dir: Path, tmp_path: Path) -> None:
    async with site(data_dir, dsn=dsn, channels=["cmpp30"]) as built, another_channel(built, "spare") as second:
        (tmp_path / "routes.toml").write_text(TABLE)
        await built.node.furnish("route", "publish", str(tmp_path / "routes.toml"), "--note", "retry")
        # Src_Id refused: this channel's configuration, as the operator knows.
        await built.node.ctl(
            "code", "set", "10", "--answer", "--channel", "cmpp30", "--class", "CHANNEL", "--fault", "channel"
        )
        first = built.carriers["cmpp30"]
        first.change(rules=FAILING)
        sent = {text: await built.customer.send("cmpp30", built.customer.text(text)) for text in ENDS}
        assert await built.settled() == set()

        for text, (at_first, at_second, end) in ENDS.items():
            reports = built.customer.reports[sent[text].message_id]
            assert [r["status"] for r in reports] == [end], text
            assert (taken(first, text), taken(second, text)) == (at_first, at_second), text
        assert first.counts.submits == len(ENDS)
        trace = (await built.node.ctl("trace", sent["no route"].message_id, "--json")).out
        assert "retried" in trace
        assert any("alarm.unlisted_code" in line and "QX:0007" in line for line in built.node.log_lines())
        # What no carrier took is paid back; what one took is paid once, however often it was tried.
        money = await built.node.ctl("ledger", "check", "--json")
        assert all(not line["problems"] for line in money.data)
        balance = (await built.node.ctl("account", "list", "--json")).data[0]["balance"]
        assert balance == 100_000 - len(ENDS) + 1
