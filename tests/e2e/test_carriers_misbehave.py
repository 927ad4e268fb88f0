"""Carriers that report early, twice or never, lose answers, hang up and throttle: nothing lost, nothing doubled."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from harness import CHANNELS, Site, site, until

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def batch(built: Site, n: int, channels: tuple[str, ...] = tuple(CHANNELS)) -> list[str]:
    """``n`` messages to each of the channels in one call; their ids. Some of them are long ones."""
    sent = await built.customer.send_many(
        n * len(channels), *channels, text=lambda k: "字" * (80 if k // len(channels) % 10 == 0 else 20)
    )
    return [one.message_id for one in sent]


async def ends(built: Site, ids: list[str]) -> set[str]:
    """Wait until all of these are final and reported exactly once; the statuses that they have."""
    customer = built.customer

    async def all_in() -> bool:
        await customer.pull()
        return customer.reports.keys() >= set(ids)

    await until(all_in, what="all messages have their report")
    assert all(len(customer.reports[i]) == 1 for i in ids)
    return {customer.reports[i][0]["status"] for i in ids}


async def test_reports_and_answers_out_of_turn(shared: Site) -> None:
    """Early, four times over, and answers twice, all of it at once."""
    carriers = shared.carriers.values()
    before = [carrier.behaviour for carrier in carriers]
    told, parts = (sum(getattr(c.counts, name) for c in carriers) for name in ("reports", "accepted"))
    for carrier in carriers:
        carrier.change(
            early_reports=0.5, duplicate_reports=1.0, report_copies=4, duplicate_answers=0.5, answer_delay="0..40"
        )
    assert await ends(shared, await batch(shared, 60)) == {"delivered"}
    for carrier, behaviour in zip(carriers, before, strict=True):
        carrier.behaviour = behaviour
    # Every copy is acknowledged, or the carrier would repeat it for ever.
    await until(lambda: all(c.counts.reports_acknowledged == c.counts.reports for c in carriers), what="acknowledged")
    assert sum(c.counts.reports for c in carriers) - told > 2 * (sum(c.counts.accepted for c in carriers) - parts)


async def test_a_long_message_that_is_reported_once(shared: Site) -> None:
    carrier = shared.carriers["cmpp20"]
    before = carrier.behaviour
    await shared.node.furnish("channel", "set", "cmpp20", "--profile", '{"long_reports": "first"}')
    await shared.bound("cmpp20")
    carrier.change(one_report=True, early_reports=0.5, answer_delay="0..30")
    reported, accepted = carrier.counts.reports, carrier.counts.accepted
    assert await ends(shared, await batch(shared, 40, ("cmpp20",))) == {"delivered"}
    assert (carrier.counts.reports - reported, carrier.counts.accepted - accepted) == (40, 44)
    carrier.behaviour = before
    await shared.node.furnish("channel", "set", "cmpp20", "--profile", "{}")
    await shared.bound("cmpp20")


@pytest.mark.slow
async def test_a_channel_that_carries_nothing_is_tried_out(shared: Site) -> None:
    carrier, ctl, number = shared.carriers["cmpp20"], shared.node.ctl, "13900000000"
    before, money = carrier.behaviour, (await shared.client.get("/balance")).data
    listed = await shared.customer.listed()
    profile = json.dumps({"probe_number": number, "probe_interval": 3600, "probe_text": "【平台】通道探测"})
    await ctl("channel", "set", "cmpp20", "--profile", profile)

    async def shows(verdict: str, alarmed: bool) -> bool:
        alarms = {(a["kind"], a["object"]) for a in (await shared.node.status())["alarms"]}
        raised = ("probe_failed", "channel/cmpp20") in alarms
        return (await shared.channel("cmpp20"))["probe"] == verdict and raised is alarmed

    await until(lambda: shows("ok", False), what="the channel has been tried out")
    carrier.change(reports="UNDELIV:1")
    failed = await ctl("channel", "test", "cmpp20", "--to", number, check=False)
    assert failed.code == 1
    assert "UNDELIV" in failed.err
    await until(lambda: shows("failed", True), what="the alarm")
    carrier.behaviour = before
    assert "was delivered" in (await ctl("channel", "test", "cmpp20", "--to", number)).out
    await until(lambda: shows("ok", False), what="the alarm is over")
    probes = [m for m in carrier.messages if m.destination == number]
    assert [m.text.partition(" ")[0] for m in probes] == ["【平台】通道探测"] * 3
    assert (await shared.client.get("/balance")).data == money
    assert await shared.customer.listed() == listed
    await ctl("channel", "set", "cmpp20", "--profile", "{}")
    await shared.bound("cmpp20")


async def test_throttling(shared: Site) -> None:
    for carrier in shared.carriers.values():
        carrier.counts.refused.clear()
        carrier.change(rate=60, rate_burst=8)
    ids = await batch(shared, 120)
    assert await ends(shared, ids) == {"delivered"}
    for name, carrier in shared.carriers.items():
        assert carrier.counts.refused.keys() == {0x58 if name == "smpp34" else 8}
        # It slows down: by far fewer tries are wasted than parts are sent.
        assert carrier.counts.refused.total() < 120, (name, carrier.counts.refused)
        carrier.change(rate=None, rate_burst=None)
    for name, carrier in shared.carriers.items():
        refused = carrier.counts.refused.total()

        async def is_kept(name: str = name, refused: int = refused) -> bool:
            spells = json.loads((await shared.node.ctl("channel", "show", name, "--json")).out)["throttled"]
            return bool(spells) and spells[0]["refused"] == refused and spells[0]["lowest"] is not None

        await until(is_kept, within=90, what=f"it is kept how {name} was throttled", every=2)


# --- gateways of their own: what leaves unknown outcomes behind ---------------------------------------------------


@pytest.mark.asyncio
async def test_links_break_in_the_middle_of_the_window(dsn: str, data_dir: Path) -> None:
    async with site(data_dir, dsn=dsn) as built:
        for name, carrier in built.carriers.items():
            carrier.change(answer_delay="5..20", disconnect_after=70, disconnect_rst=name != "cmpp20")
        ids = await batch(built, 150)
        await until(lambda: all(c.counts.disconnects >= 2 for c in built.carriers.values()), what="two breaks")
        for carrier in built.carriers.values():
            carrier.change(disconnect_after=None)
        breaks = sum(carrier.counts.disconnects for carrier in built.carriers.values())
        books = await built.clean(unknown=16 * breaks)
        assert 0 < len(books.unknown)
        assert books.statuses.total() == len(ids)
        assert books.statuses["delivered"] + len(books.unknown) == len(ids)
        # An operator who has asked the carrier ends one of them by hand; the customer hears of it once.
        one = min(books.unknown)
        await built.node.ctl("unknown", "resolve", one, "--as", "delivered")
        assert await ends(built, [one]) == {"delivered"}
        assert one not in await built.unknown()


@pytest.mark.slow
@pytest.mark.asyncio
async def test_lost_and_late_answers(dsn: str, data_dir: Path) -> None:
    """cmpp30 answers after the timer, cmpp20 never, smpp34 sometimes: by policy hold_short all come to an end."""
    options = ("--unknown-policy", "hold_short", "--profile", '{"response_timeout": 1}')
    async with site(data_dir, dsn=dsn, channel_options=options, durability_unknown_short_seconds="30") as built:
        carriers = built.carriers
        carriers["cmpp30"].change(late_answers=1.0, late_by="12000", report_delay="200")
        carriers["cmpp20"].change(lose_answers=1.0)
        carriers["smpp34"].change(lose_answers=0.2)
        late = await batch(built, 10, ("cmpp30",))
        lost = await batch(built, 10, ("cmpp20",))
        some = await batch(built, 50, ("smpp34",))
        await until(lambda: _all(built, late, "uncertain"), what="late answers are missed")
        await until(lambda: _all(built, lost, "uncertain"), what="lost answers are missed")
        assert await built.unknown() >= {*lost}

        # The answer comes, and finds the report that was there before it.
        assert await ends(built, late) == {"delivered"}
        # Nothing comes: the policy ends them. The carrier had them all, so none may be sent again.
        assert await ends(built, lost) == {"unconfirmed"}
        assert await ends(built, some) == {"delivered", "unconfirmed"}
        books = await built.clean()
        assert books.received == books.accepted == 70


@pytest.mark.asyncio
async def test_answers_near_the_timer_while_the_carrier_throttles(dsn: str, data_dir: Path) -> None:
    """Answers come at 0.9 to 1.1 times the timer, and many say "too fast": the channel slows down, and what may have
    been taken is not sent again."""
    options = ("--profile", '{"response_timeout": 1}')
    async with site(data_dir, dsn=dsn, channels=["cmpp30"], channel_options=options) as built:
        carrier = built.carriers["cmpp30"]
        carrier.change(answer_delay="900..1100", rate=8, rate_burst=8, report_delay="50")
        ids = await batch(built, 40, ("cmpp30",))
        reasons: set[str] = set()

        async def all_taken() -> bool:
            line = await built.channel("cmpp30")
            reasons.add(line["reason"])
            assert line["window_used"] <= line["window"]
            return carrier.inbox.total >= len(ids)

        await until(all_taken, what="all is taken", every=0.2)
        assert "carrier throttles" in reasons
        # Half of a window and a second's burst are tried in vain before it has slowed down, then hardly any.
        assert 0 < carrier.counts.refused.total() <= 40, carrier.counts.refused
        assert carrier.counts.submits == carrier.counts.accepted + carrier.counts.refused.total()
        # What has expired makes room, though its answer may come: so each place of the window twice, at most.
        assert carrier.counts.peak_unanswered <= 32
        assert await ends(built, ids) == {"delivered"}
        books = await built.clean()
        assert books.received == books.accepted == 40
        assert carrier.counts.connections == 1


async def _all(built: Site, ids: list[str], status: str) -> bool:
    listed = await built.customer.listed()
    return all(listed[i]["status"] == status for i in ids)


@pytest.mark.asyncio
@pytest.mark.slow
async def test_refused_logins(dsn: str, data_dir: Path) -> None:
    async with site(data_dir, dsn=dsn) as built:
        carriers = built.carriers
        for name, carrier in carriers.items():
            carrier.change(refuse_login=0x0E if name == "smpp34" else 3)
            carrier.disconnect()
        ids = await batch(built, 20)  # accepted on the word of a link that was there a moment ago

        async def all_refused() -> bool:
            return all([await _refused(built, name) for name in carriers])

        await until(all_refused, what="the refusals are seen")
        for name in carriers:
            assert "login refused" in (await built.channel(name))["last_error"]
        assert await built.unknown() == set()
        for carrier in carriers.values():
            carrier.change(refuse_login=None)
        assert await ends(built, ids) == {"delivered"}
        # Operators block addresses that insist.
        assert all(carrier.counts.logins_refused <= 2 for carrier in carriers.values())
        await built.clean()

        # Refused for its password, which really is wrong.
        await asyncio.gather(*(built.node.furnish("channel", "set", name, "--password", "wrong") for name in CHANNELS))
        await until(all_refused, what="the wrong passwords are refused")
        tests = await asyncio.gather(*(built.node.ctl("channel", "test", name, check=False) for name in CHANNELS))
        assert all(done.code == 1 and "login refused" in done.err for done in tests)


async def _refused(built: Site, name: str) -> bool:
    return (await built.channel(name))["state"] == "refused"
