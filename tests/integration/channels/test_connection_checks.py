"""A channel on trial: probes and their verdict, the connection test, and the history of its throttling."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from certificates import HERE, Authority
from ledger import Ledger, carrier_id

from smsgw.channels import profiles
from smsgw.channels.probing import AGAIN_AFTER_FAILURE, REPORT_PATIENCE, VALID, Probing
from smsgw.channels.profiles import Profile
from smsgw.channels.wire import checking
from smsgw.channels.wire.checking import Checking
from smsgw.core.errors import Invalid
from smsgw.core.model import PROBE_ACCOUNT, AtWork, ChannelSpec, Claimed, OutcomeKind, Report
from smsgw.core.states import PartState
from smsgw.core.throttling import Spell
from smsgw.core.words import FINDINGS
from smsgw.pipeline.outcomes.writer import Sweep
from smsgw.platform.channels import throttles as shown
from smsgw.platform.channels.checks import Finding, Stage, Verdict
from smsgw.simulator.carrier import Carrier
from smsgw.simulator.config import Behaviour, CarrierConfig
from smsgw.store.config import throttles
from smsgw.store.messages import claiming, sweeps

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SPELL = Spell(NOW - 10 * MINUTE, NOW - 9 * MINUTE, 400, 210.0, 12_000, 31, over=False)


async def test_a_spell_that_goes_on_stays_one_row_and_a_node_that_is_gone_is_said(ledger: Ledger) -> None:
    of = ledger.channels["a"]
    await throttles.keep(ledger.database, 1, [(of, SPELL)])
    longer = replace(SPELL, until=NOW - MINUTE, refused=40, lowest=180.0)
    for _ in range(2):
        await throttles.keep(ledger.database, 1, [(of, longer)])
    await throttles.keep(ledger.database, 2, [(of, replace(SPELL, refused=5))])
    first, second = await shown.newest(ledger.database, of, NOW, 10)
    assert (first.node, first.spell, first.goes_on) == (1, longer, True)
    assert (second.node, second.spell.refused, second.goes_on) == (2, 5, False)


async def test_only_the_newest_of_a_channel_stay(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttles, "KEPT", 3)
    spells = [
        replace(SPELL, began_at=NOW - n * 60 * MINUTE, until=NOW - n * 60 * MINUTE + MINUTE, over=True)
        for n in range(9, 0, -1)
    ]
    await throttles.keep(ledger.database, 1, [(ledger.channels["a"], spell) for spell in spells])
    await throttles.keep(ledger.database, 1, [(10**6, SPELL)])  # a channel that nobody knows
    kept = await throttles.newest(ledger.database, ledger.channels["a"], None, 100)
    assert [one.spell for one in kept] == spells[:-4:-1]


def test_hours_take_the_lowest_of_what_lies_in_them() -> None:
    since = NOW - timedelta(days=7)
    one = replace(SPELL, began_at=since - MINUTE, until=since + 61 * MINUTE, lowest=200.0)
    two = replace(SPELL, began_at=since + 5 * MINUTE, until=since + 6 * MINUTE, lowest=150.0)
    none = replace(SPELL, began_at=since + 200 * MINUTE, until=since + 201 * MINUTE, lowest=None)
    hours = shown.hours([one, two, none], since)
    assert len(hours) == 7 * 24
    assert [hour.lowest for hour in hours[:4]] == [150.0, 200.0, None, None]


async def test_sums_are_of_seven_days(ledger: Ledger) -> None:
    old = replace(SPELL, began_at=NOW - timedelta(days=9), until=NOW - timedelta(days=8), over=True)
    await throttles.keep(ledger.database, 1, [(ledger.channels["a"], old), (ledger.channels["a"], SPELL)])
    found = await shown.history(ledger.database, ledger.channels["a"], NOW)
    assert (found.n, found.lasted, found.refused) == (1, MINUTE, 31)
    assert len(found.lines) == 2
    assert found.slowed


S, K = PartState, OutcomeKind
WEEK = timedelta(days=7)


@dataclass
class Seen:
    spec: ChannelSpec
    profile: Profile
    delivered_at: float = float("-inf")
    well: bool = True
    looked: int = 0

    def healthy(self) -> bool:
        return self.well

    def look_for_deferred(self) -> None:
        self.looked += 1


EXPIRE = Sweep(lambda connection, now: sweeps.expire(connection, now, 0))


class Trier:
    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        profile = {"probe_number": "13900000000"}
        spec = ChannelSpec(
            id=ledger.channels["a"], name="a", protocol="cmpp20", host="h", port=1, username="u", password="p",
            access_code="1069", profile=profile,
        )  # fmt: skip
        self.channel = Seen(spec, profiles.parse(profile))
        self.probing = Probing(ledger.database, ledger.ids, lambda: ledger.clock)

    async def look(self) -> tuple[str, str]:
        await self.probing.follow()
        await self.probing.step([self.channel])  # type: ignore[list-item]
        await self.probing.follow()
        return self.probing.verdict(self.channel.spec)

    async def claimed(self) -> list[Claimed]:
        fence = await self.ledger.fence("a")
        await self.ledger.connection.execute("UPDATE part SET next_at = now() WHERE state = 11")
        return await claiming.claim_deferred(self.ledger.connection, fence, now=datetime.now(UTC), limit=10, oldest=0)

    async def delivered(self, state: S = S.DELIVERED) -> None:
        (claimed,) = await self.claimed()
        await self.ledger.answer(K.ACCEPTED, claimed)
        told = state, state.name, "", claimed.number, self.ledger.clock
        await self.ledger.outcomes.report(Report(self.channel.spec.id, carrier_id(claimed), *told))


async def test_a_probe_is_for_its_channel_and_costs_and_tells_nobody_anything(ledger: Ledger) -> None:
    trier = Trier(ledger)
    money = await ledger.balance()
    assert await trier.look() == ("under way", "")
    assert trier.channel.looked == 1
    assert await ledger.claim("b") == []
    fence = await ledger.fence("b")
    now = datetime.now(UTC)
    assert await claiming.claim_deferred(ledger.connection, fence, now=now, limit=10, oldest=0) == []
    with pytest.raises(Invalid, match="上一次探测"):
        await trier.probing.send(trier.channel, "13900000000")  # type: ignore[arg-type]
    await trier.delivered()
    assert await trier.look() == ("ok", "")
    assert (await ledger.events(), await ledger.balance()) == ([], money)
    counted = await ledger.connection.fetch("SELECT account_id, metric FROM stat_minute ORDER BY metric")
    assert [tuple(row) for row in counted] == [(PROBE_ACCOUNT, "probe_delivered"), (PROBE_ACCOUNT, "probe_submitted")]
    with pytest.raises(asyncpg.CheckViolationError):
        await ledger.connection.execute("UPDATE message SET price = 1 WHERE account_id = -2")


async def test_it_is_due_after_a_week_without_a_delivery(ledger: Ledger) -> None:
    trier = Trier(ledger)
    trier.channel.well = False
    assert await trier.look() == ("", "")  # not logged in: another alarm says so
    trier.channel.well = True
    await trier.look()
    await trier.delivered()
    await trier.look()
    ledger.clock += WEEK - timedelta(seconds=1)
    await trier.look()
    assert await trier.claimed() == []
    ledger.clock += timedelta(seconds=1)
    assert await trier.look() == ("ok", "")  # the verdict stands while the next probe is under way
    assert len(await trier.claimed()) == 1


async def test_failures_are_tried_again_soon_and_forgotten_with_the_next_delivery(ledger: Ledger) -> None:
    trier = Trier(ledger)
    await trier.look()
    await trier.delivered(S.UNDELIVERABLE)
    assert await trier.look() == ("failed", "undeliverable UNDELIVERABLE")
    ledger.clock += timedelta(seconds=AGAIN_AFTER_FAILURE)
    assert (await trier.look())[0] == "failed"
    (claimed,) = await trier.claimed()
    await ledger.answer(K.ACCEPTED, claimed)
    ledger.clock += REPORT_PATIENCE + timedelta(seconds=1)
    assert await trier.look() == ("failed", "no report in 10 min")
    ledger.clock += timedelta(seconds=10)
    trier.channel.delivered_at = asyncio.get_running_loop().time()  # of some other message
    assert await trier.look() == ("ok", "delivers again")


@pytest.mark.parametrize(
    ("answer", "verdict"), [(K.UNSENT, ("", "not written")), (K.DEFERRED, ("failed", "expired x"))]
)
async def test_what_is_not_taken_in_time_has_failed_if_it_was_written(
    ledger: Ledger, answer: OutcomeKind, verdict: tuple[str, str]
) -> None:
    trier = Trier(ledger)
    await trier.look()
    (claimed,) = await trier.claimed()
    await ledger.answer(answer, claimed)
    assert await ledger.claim("b") == []  # it waits in a pool that nobody pulls from
    ledger.clock += VALID + timedelta(seconds=1)
    assert await trier.look() == verdict
    assert await ledger.state(claimed.id) is S.EXPIRED


async def test_whose_number_was_taken_away_is_not_probed(ledger: Ledger) -> None:
    trier = Trier(ledger)
    await trier.look()
    trier.channel.spec = replace(trier.channel.spec, profile={})
    assert await trier.look() == ("", "")


async def test_a_probe_of_a_channel_that_is_no_more_ends_and_its_day_can_go(ledger: Ledger) -> None:
    """Nobody judges it; an unfinished part would keep the day of all that was sent beside it."""
    trier = Trier(ledger)
    await trier.look()
    other = await ledger.accept()
    await ledger.change("UPDATE channel SET removed_at = now(), desired = 'stopped' WHERE name = 'a'")
    probe = await ledger.connection.fetchval("SELECT message_id FROM channel_probe")
    ledger.later(minutes=4)
    assert await ledger.outcomes.sweep(EXPIRE) == 0
    ledger.later(minutes=2)
    assert await ledger.outcomes.sweep(EXPIRE) == 1
    assert await ledger.state(probe) is S.EXPIRED
    assert await ledger.state(other) is S.QUEUED
    assert await ledger.outcomes.sweep(EXPIRE) == 0
    # One that was given back, and overtaken by another one since.
    await ledger.change(
        "ALTER TABLE part DISABLE TRIGGER USER",
        f"UPDATE part SET state = 10, channel_id = NULL, final_at = NULL WHERE id = {probe}",  # noqa: S608
        "ALTER TABLE part ENABLE TRIGGER USER",
        "UPDATE channel_probe SET message_id = 1",
    )
    assert await ledger.outcomes.sweep(EXPIRE) == 1
    assert await ledger.state(probe) is S.EXPIRED


async def test_a_probe_that_the_sweep_has_ended_says_nothing_about_its_channel(ledger: Ledger) -> None:
    trier = Trier(ledger)
    await trier.look()
    ledger.later(minutes=6)
    assert await ledger.outcomes.sweep(EXPIRE) == 1
    ledger.clock += VALID + timedelta(seconds=1)
    assert await trier.look() == ("", "not written")


FAMILY = {"cmpp30": "cmpp", "cmpp20": "cmpp", "smpp34": "smpp", "sgip12": "sgip", "smgp30": "smgp"}


def spec(port: int, protocol: str = "smpp34", **changes: Any) -> ChannelSpec:
    profile = {"node": 3_010_012_345} if protocol == "sgip12" else {}
    values = {
        "id": 1, "name": "a", "protocol": protocol, "host": "127.0.0.1", "port": port, "username": "900001",
        "password": "secret", "access_code": "", "connections": 1, "window": 16, "rate": 0, "carriers": frozenset(),
        "profile": profile,
    }  # fmt: skip
    return ChannelSpec(**(values | changes))


async def findings(one: ChannelSpec, *live: AtWork, login: bool = False) -> list[Finding]:
    found: list[Finding] = []

    async def tell(finding: Finding) -> None:
        found.append(finding)

    await Checking(lambda _: live).check(one, login=login, tell=tell)
    for finding in found:  # every one of them has its words
        assert str(finding.said)
        assert finding.said.english
        assert (finding.advice is None) == (finding.verdict in (Verdict.GOOD, Verdict.SKIPPED))
    return found


def test_whatever_may_be_wrong_has_its_advice() -> None:
    for key in FINDINGS:
        assert key.removesuffix(".do") in FINDINGS
    for words in checking._REFUSED.values():
        for word in words.values():
            assert f"login.{word}.do" in FINDINGS


async def bad(one: ChannelSpec) -> tuple[Stage, str, str]:
    last = (await findings(one))[-1]
    assert last.verdict is Verdict.BAD
    return last.stage, last.code, last.raw


def config(protocol: str = "smpp34", **changes: Any) -> CarrierConfig:
    return CarrierConfig(protocol=FAMILY[protocol], **changes)


@asynccontextmanager
async def server(answer: bytes | None) -> AsyncIterator[int]:
    """Something that is no gateway: says this and hangs up; None: reads for ever and says nothing."""
    speaking: set[asyncio.Task[None] | None] = set()

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        speaking.add(asyncio.current_task())
        if answer is None:
            while await reader.read(100):
                pass
        else:
            await reader.read(100)
            writer.write(answer)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    made = await asyncio.start_server(speak, "127.0.0.1", 0)
    async with made:
        yield made.sockets[0].getsockname()[1]
        await asyncio.wait([task for task in speaking if task], timeout=10)


@pytest.mark.parametrize("protocol", FAMILY)
async def test_all_stages_are_good_and_several_connections_are_tried(protocol: str) -> None:
    async with Carrier(config(protocol)) as carrier:
        found = await findings(spec(carrier.port, protocol, connections=3))
    assert not [one for one in found if one.verdict in (Verdict.BAD, Verdict.WARNING)]
    wanted = [Stage.RESOLVE, Stage.CONNECT, Stage.LOGIN, Stage.KEEPALIVE, Stage.CONNECTIONS]
    if protocol == "sgip12":
        wanted[3:] = [Stage.CONNECTIONS, Stage.REPORTS]
    assert [one.stage for one in found] == wanted
    assert carrier.counts.logins == 3
    assert not carrier.counts.submits


@pytest.mark.parametrize(
    ("protocol", "status", "word"),
    [("cmpp30", 2, "source_address"), ("cmpp30", 4, "version"), ("cmpp30", 77, "other"), ("smpp34", 0x0E, "password"),
     ("smpp34", 0x0F, "user"), ("smpp34", 0x0D, "bind_failed"), ("smpp34", 0x05, "already"), ("sgip12", 3, "many"),
     ("sgip12", 57, "source_address"), ("smgp30", 2, "many"), ("smgp30", 22, "version"), ("smgp30", 76, "expired")],
)  # fmt: skip
async def test_a_refused_login_is_named_and_keeps_its_code(protocol: str, status: int, word: str) -> None:
    async with Carrier(config(protocol, behaviour=Behaviour(refuse_login=status))) as carrier:
        stage, code, raw = await bad(spec(carrier.port, protocol))
    assert (stage, code) == (Stage.LOGIN, f"login.{word}")
    assert (f"0x{status:08X}" if protocol == "smpp34" else str(status)) in raw


@pytest.mark.parametrize("protocol", FAMILY)
async def test_a_wrong_password_is_named_in_every_protocol(protocol: str) -> None:
    async with Carrier(config(protocol)) as carrier:
        stage, code, raw = await bad(spec(carrier.port, protocol, password="not it"))
    assert (stage, code) == (Stage.LOGIN, "login.password")
    assert raw


async def test_names_and_ports_that_lead_nowhere(unused_tcp_port: int) -> None:
    assert (await bad(spec(unused_tcp_port)))[:2] == (Stage.CONNECT, "refused")
    assert (await bad(spec(unused_tcp_port, host="no-such-host.invalid")))[:2] == (Stage.RESOLVE, "name")
    assert (await bad(spec(unused_tcp_port, profile={"source_address": "192.0.2.77"})))[:2] == (Stage.CONNECT, "source")


async def test_other_services_are_named_and_not_echoed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "LOGIN_TIMEOUT", 4.0)
    async with server(b"SSH-2.0-banner of a stranger\r\n") as port:
        found = await findings(spec(port))
    assert (found[-1].stage, found[-1].code) == (Stage.LOGIN, "foreign")
    assert "banner" not in repr(found)
    async with server(b"") as port:
        assert (await bad(spec(port)))[:2] == (Stage.LOGIN, "closed")
    monkeypatch.setattr(checking, "TLS_TIMEOUT", 0.5)
    async with server(None) as port:
        assert (await bad(spec(port)))[:2] == (Stage.LOGIN, "silent")


async def test_fewer_connections_than_wanted() -> None:
    async with Carrier(config(behaviour=Behaviour(max_connections=2))) as carrier:
        found = await findings(spec(carrier.port, connections=4))
    assert (found[-1].stage, found[-1].code) == (Stage.CONNECTIONS, "fewer")
    assert found[-1].params == {"n": 2, "wanted": 4}


@asynccontextmanager
async def chatty(logins: int) -> AsyncIterator[int]:
    """A gateway that asks all the time and answers nothing but logins; beyond so many it hangs up."""
    tasks: list[asyncio.Task[None] | None] = []

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.append(asyncio.current_task())
        nth = len(tasks)
        try:
            head = await reader.readexactly(16)
            if nth <= logins:
                writer.write(struct.pack(">4I", 17, 0x80000009, 0, int.from_bytes(head[12:])) + bytes(1))
                for sequence in range(1, 500):
                    writer.write(struct.pack(">4I", 16, 0x15, 0, sequence))
                    await writer.drain()
                    await asyncio.sleep(0.02)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()

    made = await asyncio.start_server(speak, "127.0.0.1", 0)
    async with made:
        yield made.sockets[0].getsockname()[1]
        running = [task for task in tasks if task]
        for task in running:
            task.cancel()
        await asyncio.wait(running)


async def test_whatever_else_comes_is_no_answer_to_the_keepalive(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is a further connection that nobody refused called refused."""
    monkeypatch.setattr(checking, "KEEPALIVE_TIMEOUT", 1.5)
    monkeypatch.setattr(checking, "CLOSE_TIMEOUT", 0.1)
    async with chatty(1) as port:
        found = await findings(spec(port))
    assert (found[-1].code, found[-1].verdict) == ("no_keepalive", Verdict.WARNING)
    monkeypatch.setattr(checking, "KEEPALIVE_TIMEOUT", 0.2)
    async with chatty(2) as port:
        found = await findings(spec(port, connections=4))
    assert (found[-1].stage, found[-1].code) == (Stage.CONNECTIONS, "unopened")
    assert found[-1].params == {"n": 2, "wanted": 4}


async def test_every_address_of_a_name_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    async def two(_: object, port: int | None, **__: object) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port)) for ip in ("127.0.0.9", "127.0.0.1")]

    async with Carrier(config()) as carrier:
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", two)
        found = await findings(spec(carrier.port, host="gateway.invalid"))
    assert [one.code for one in found][:3] == ["resolved", "reached_other", "login.good"]
    assert found[1].params["failed"] == "127.0.0.9"


async def test_a_login_that_is_at_work_is_left_alone_unless_asked_for() -> None:
    async with Carrier(config()) as carrier:
        for other, code in (
            (AtWork("b", "localhost", 1), "live_other"),  # the same gateway by its name
            (AtWork("b", "no-such-host.invalid", 2, frozenset({"127.0.0.1"})), "live_other"),
            (AtWork("a", "127.0.0.1", 0), "started"),  # between two connections
        ):
            found = await findings(spec(carrier.port), other)
            assert (found[-1].stage, found[-1].verdict, found[-1].code) == (Stage.LOGIN, Verdict.SKIPPED, code)
        own = await findings(spec(carrier.port), AtWork("b", "127.0.0.1", 4), AtWork("a", "127.0.0.1", 2))
        assert (own[-1].code, own[-1].params) == ("live", {"n": 2}), "those of others are not its own"
        others = await findings(spec(carrier.port), AtWork("b", "127.0.0.1", 0), AtWork("c", "127.0.0.1", 4))
        assert (others[-1].code, others[-1].params) == ("live_other", {"name": "c", "n": 4})
        assert not carrier.counts.logins
        await findings(spec(carrier.port), AtWork("a", "127.0.0.1", 1), login=True)
        assert carrier.counts.logins == 1
        await findings(spec(carrier.port), AtWork("b", "192.0.2.1", 1), AtWork("c", "no-such-host.invalid", 1))
        assert carrier.counts.logins == 2, "they are elsewhere"


async def test_tls_on_either_side_alone_and_certificates(tmp_path: Path) -> None:
    trusted, stranger = Authority(tmp_path / "trusted.pem"), Authority(tmp_path / "stranger.pem")
    cert = tmp_path / "carrier.pem"
    trusted.certify(cert, HERE)
    tls = {"tls": True, "tls_ca": str(trusted.path)}
    async with Carrier(config()) as plain:
        assert (await bad(spec(plain.port, profile=tls)))[:2] == (Stage.TLS, "plain")
        assert not plain.counts.logins
    async with Carrier(config(tls_cert=str(cert))) as carrier:
        found = await findings(spec(carrier.port, profile=tls))
        assert [one for one in found if one.stage is Stage.TLS]
        assert found[-1].stage is Stage.KEEPALIVE
        assert (await bad(spec(carrier.port)))[:2] == (Stage.TLS, "tls_wanted")
        assert (await bad(spec(carrier.port, "cmpp30")))[:2] == (Stage.TLS, "tls_unknown")
        stage, code, raw = await bad(spec(carrier.port, profile=tls | {"tls_ca": str(stranger.path)}))
        assert (stage, code) == (Stage.TLS, "cert_signer")
        assert raw.startswith("X509 ")
        assert (await bad(spec(carrier.port, profile=tls | {"tls_name": "smpp.example.net"})))[1] == "cert_name"
        unchecked = await findings(spec(carrier.port, profile={"tls": True, "tls_insecure": True}))
        assert ("unchecked", Verdict.WARNING) in [(one.code, one.verdict) for one in unchecked]
        assert (await bad(spec(carrier.port, profile=tls | {"tls_ca": "/nonexistent"})))[:2] == (Stage.TLS, "ca")
