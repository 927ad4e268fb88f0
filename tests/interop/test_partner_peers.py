"""Clients that we did not write send through our servers to a simulated carrier, and get reports and replies.

Each is tried with what it can do of: a submit, its report, a reply, long messages (header, ``sar_…``, payload), more
than its window, a submit without a login, a wrong password. What a client cannot do is not here: Kannel and aiosmpplib
keep to the order of a session, and Kannel knows no ``sar_…``; aiosmpplib builds no headers of its own; cmppy opens a
connection for each request.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import shutil
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cmppy
import pytest
import pytest_asyncio
import smpplib.consts
import smpplib.exceptions
import smpplib.gsm
import smpplib.smpp
from aiohttp import ClientSession, web
from aiosmpplib import (
    ESME,
    NPI,
    TON,
    DeliverSm,
    OptionalParam,
    PhoneNumber,
    SmppCommandStatus,
    SmppError,
    SubmitSm,
)
from aiosmpplib.esme import SAR_MSG_REF_NUM, SAR_SEGMENT_SEQNUM, SAR_TOTAL_SEGMENTS
from cmppy.request import ConnectReq, SubmitReq
from cmppy.response import parse_response
from harness import free_port, until
from node_smsc import NODE
from partner_client import PASSWORD, PartnerSite, module_site
from pycmpp import cmpp_defines
from test_simulator_aiosmpplib import Heard
from test_simulator_cmpp_peers import Pycmpp
from test_simulator_smpplib import LONG_GSM, LONG_UCS2, Peer

from smsgw.protocols.cmpp import pdus, reports
from smsgw.protocols.dialects import CMPP20
from smsgw.runtime.aio import cancel, spawn

pytestmark = pytest.mark.asyncio(loop_scope="module")
FOLDER = Path(__file__).parent / "npm"
NARROW = "narrow"
"""A login with a window of 2."""
BURST = 60


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def here(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[PartnerSite]:
    async with module_site(postgres, tmp_path_factory.mktemp("partners"), "partner_peers") as built:
        add = ("partner", "add", "acme", "--user", NARROW, "--password", PASSWORD, "--window", "2")
        await asyncio.gather(*(built.node.furnish(*add, "--protocol", p) for p in ("smpp", "cmpp")))
        yield built


def send_mo(here: PartnerSite, number: str, text: str) -> None:
    here.site.carriers["cmpp30"].send_mo(number, "10690001", text)


async def test_smpplib(here: PartnerSite) -> None:
    peer = Peer(here.smpp_port)

    def talk() -> None:
        peer.client.connect()
        peer.client.bind_transceiver(system_id="shop", password=PASSWORD)
        expected = peer.send("8613801000001", "plain €[] text")
        expected += peer.send("8613801000002", "你好")
        expected += peer.send("8613801000003", LONG_UCS2, smpplib.consts.SMPP_ENCODING_ISO10646)
        expected += peer.send("8613801000004", LONG_GSM)
        common = {
            "source_addr": "10690001",
            "dest_addr_ton": 1,
            "registered_delivery": True,
            "data_coding": 8,
        }
        pieces, _, _ = smpplib.gsm.make_parts(
            LONG_UCS2, smpplib.consts.SMPP_ENCODING_ISO10646, use_udhi=False
        )
        for n, piece in enumerate(pieces, 1):
            peer.client.send_message(
                destination_addr="8613801000005", short_message=piece, sar_msg_ref_num=5,
                sar_total_segments=len(pieces), sar_segment_seqnum=n, **common,
            )  # fmt: skip
        peer.client.send_message(
            destination_addr="8613801000006", message_payload=LONG_UCS2.encode("utf-16-be"), **common
        )
        expected += len(pieces) + 1
        peer.read_until(lambda: len(peer.sent) == expected and len(peer.received) == expected)

    await asyncio.to_thread(talk)
    send_mo(here, "13801000001", "回复 TD")
    await asyncio.to_thread(peer.read_until, lambda: peer.received[-1].data_coding == 8)
    await asyncio.to_thread(peer.close)
    *receipts, reply = peer.received
    found = {}
    for pdu in receipts:
        match = re.match(rb"id:(\d+) sub:001 dlvrd:001 .*stat:(\w+) err:(\w+)", pdu.short_message)
        assert match is not None
        assert pdu.receipted_message_id == match[1]
        found[match[1].decode()] = match[2].decode()
    assert sorted(found) == sorted(pdu.message_id.decode() for pdu in peer.sent)
    assert set(found.values()) == {"DELIVRD"}
    assert reply.short_message.decode("utf-16-be") == "回复 TD"
    texts = {
        "1": "plain €[] text",
        "2": "你好",
        "3": LONG_UCS2,
        "4": LONG_GSM,
        "5": LONG_UCS2,
        "6": LONG_UCS2,
    }
    assert {n: here.arrived()[f"1380100000{n}"] for n in texts} == texts


async def test_smpplib_against_the_rules(here: PartnerSite) -> None:
    def statuses(peer: Peer, n: int) -> set[int]:
        found = set()
        for serial in range(n):
            made = smpplib.smpp.make_pdu(
                "submit_sm", client=peer.client, source_addr="10690001", short_message=b"many",
                destination_addr=f"86138010001{serial:02d}",
            )  # fmt: skip
            found.add(made.generate())
        peer.client._socket.sendall(b"".join(found))
        return {peer.client.read_pdu().status for _ in range(n)}

    def wrong() -> None:
        peer = Peer(here.smpp_port)
        peer.client.connect()
        with pytest.raises(smpplib.exceptions.PDUError) as caught:
            peer.client.bind_transceiver(system_id="shop", password="wrong")
        assert caught.value.args[1] == smpplib.consts.SMPP_ESME_RINVPASWD
        peer.client.disconnect()

    def unbound() -> None:
        peer = Peer(here.smpp_port)
        peer.client.connect()
        assert statuses(peer, 1) == {smpplib.consts.SMPP_ESME_RINVBNDSTS}
        peer.client.disconnect()

    def too_many() -> None:
        peer = Peer(here.smpp_port)
        peer.client.connect()
        peer.client.bind_transmitter(system_id=NARROW, password=PASSWORD)
        assert statuses(peer, BURST) == {0, smpplib.consts.SMPP_ESME_RTHROTTLED}
        peer.close()

    for work in (wrong, unbound, too_many):
        await asyncio.to_thread(work)


class HeardAll(Heard):
    """Keeps, too, what the client does not read: answers to all but one part of a long message, refused logins."""

    def __init__(self) -> None:
        super().__init__()
        self.unread: list[bytes] = []

    async def received(self, smpp_message: Any, pdu: bytes, client_id: str) -> None:
        if smpp_message is None:
            self.unread.append(pdu)
        else:
            await super().received(smpp_message, pdu, client_id)


async def test_aiosmpplib(here: PartnerSite) -> None:
    heard = HeardAll()
    esme = ESME(
        "127.0.0.1", here.smpp_port, "shop", PASSWORD, hook=heard, enquire_link_interval=0.3,
        log_level="CRITICAL",
    )  # fmt: skip
    running = spawn(esme.start(), name="esme")
    texts = {
        "8613802000001": ("plain €[] text", "gsm0338"),
        "8613802000002": ("您的验证码是 8848", "ucs2"),
        "8613802000003": ("长短信" * 60, "ucs2"),
        "8613802000004": ("The quick brown fox jumps over the lazy dog. " * 8, "gsm0338"),
    }
    pieces = ["分段" * 30, "其二" * 30, "完"]
    try:
        for n, piece in enumerate(pieces, 1):
            segment = (SAR_MSG_REF_NUM, 9), (SAR_TOTAL_SEGMENTS, len(pieces)), (SAR_SEGMENT_SEQNUM, n)
            await esme.broker.enqueue(
                SubmitSm(
                    short_message=piece, source=PhoneNumber("10690001"), encoding="ucs2", registered_delivery=0,
                    destination=PhoneNumber("8613802000005", TON.INTERNATIONAL, NPI.ISDN),
                    optional_params=[OptionalParam(tag, value) for tag, value in segment],
                )
            )  # fmt: skip
        for number, (text, encoding) in texts.items():
            await esme.broker.enqueue(
                SubmitSm(
                    short_message=text, source=PhoneNumber("10690001"),
                    destination=PhoneNumber(number, TON.INTERNATIONAL, NPI.ISDN), encoding=encoding, log_id=number,
                )
            )  # fmt: skip
        await until(lambda: len(heard.of(DeliverSm)) == 4, what="receipts")
        send_mo(here, "13802000001", "回复 TD")
        await until(lambda: len(heard.of(DeliverSm)) == 5, what="the reply")
        writer = esme._writer
        assert writer is not None
        await esme.stop()
        await asyncio.wait_for(running, 30)
        writer.close()
        await writer.wait_closed()
    finally:
        await cancel(running)
    assert heard.errors == []
    receipts = {m.log_id: m.parse_receipt() for m in heard.of(DeliverSm) if m.is_receipt()}
    assert {n: r["stat"] for n, r in receipts.items()} == dict.fromkeys(texts, "DELIVRD")
    (reply,) = (m for m in heard.of(DeliverSm) if not m.is_receipt())
    assert (reply.source.number, reply.short_message) == ("8613802000001", "回复 TD")
    assert {n: here.arrived()[n[2:]] for n in texts} == {n: t for n, (t, _) in texts.items()}
    await until(lambda: here.arrived().get("13802000005") == "".join(pieces), what="the text of the parts")


async def test_aiosmpplib_with_a_wrong_password(here: PartnerSite) -> None:
    """It reads the body of a refused bind, too, and breaks where there is none."""
    heard = HeardAll()
    peer = ESME("127.0.0.1", here.smpp_port, "shop", "wrong", hook=heard, log_level="CRITICAL")
    with pytest.raises(SmppError) as caught:
        await asyncio.wait_for(peer.connect(), 15)
    writer = peer._writer
    assert writer is not None
    writer.close()
    await writer.wait_closed()
    assert caught.value.command_status == SmppCommandStatus.ESME_RINVPASWD
    assert heard.unread == []


class Esme:
    """The npm package ``smpp`` in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[dict[str, Any]] = []

    def say(self, *orders: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("".join(json.dumps(order) + "\n" for order in orders).encode())

    async def until_said(self, enough: Any) -> None:
        assert self.process.stdout is not None
        async with asyncio.timeout(60):
            while not enough():
                self.lines.append(json.loads(await self.process.stdout.readline()))

    async def until(self, event: str) -> dict[str, Any]:
        await self.until_said(lambda: any(line["event"] == event for line in self.lines))
        return self.lines[-1]

    def heard(self, command: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["event"] == "pdu" and line["command"] == command]


@contextlib.asynccontextmanager
async def esme(here: PartnerSite, user: str, password: str = PASSWORD, *mode: str) -> AsyncIterator[Esme]:
    process = await asyncio.create_subprocess_exec(
        NODE, FOLDER / "esme.js", str(here.smpp_port), user, password, *mode,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield Esme(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_node_smpp(here: PartnerSite) -> None:
    long = "节点的长短信" * 30
    parts = -(-len(long) // 67)
    async with esme(here, "shop") as peer:
        bound = await peer.until("bound")
        assert (bound["command_status"], bound["sc_interface_version"]) == (0, 0x34)
        peer.say(
            {"to": "8613803000001", "text": "from node"}, {"to": "8613803000002", "text": long},
            {"to": "8613803000003", "text": long, "how": "payload"},
            {"to": "8613803000004", "text": long, "how": "sar"},
        )  # fmt: skip
        total = 2 + 2 * parts
        await peer.until_said(
            lambda: len(peer.heard("submit_sm_resp")) == total and len(peer.heard("deliver_sm")) == total
        )
        send_mo(here, "13803000001", "回复 TD")
        await peer.until_said(lambda: len(peer.heard("deliver_sm")) == total + 1)
        await peer.until_said(lambda: peer.heard("enquire_link_resp"))
        peer.say("bye")
        await asyncio.wait_for(peer.process.wait(), 10)
    *receipts, reply = peer.heard("deliver_sm")
    ids = {a["message_id"] for a in peer.heard("submit_sm_resp")}
    assert {r["receipted_message_id"] for r in receipts} == ids
    assert {r["message_state"] for r in receipts} == {2}
    assert (reply["source_addr"], reply["short_message"]["message"]) == ("8613803000001", "回复 TD")
    texts = {"1": "from node", "2": long, "3": long, "4": long}
    assert {n: here.arrived()[f"1380300000{n}"] for n in texts} == texts


async def test_node_smpp_against_the_rules(here: PartnerSite) -> None:
    async with esme(here, "shop", "wrong") as peer:
        assert (await peer.until("bound"))["command_status"] == 0x0E
    async with esme(here, "shop", PASSWORD, "unbound") as peer:
        await peer.until("connected")
        peer.say({"to": "8613803000101", "text": "early"})
        await peer.until("pdu")
        (refused,) = peer.heard("submit_sm_resp")
        assert refused["command_status"] == 0x04
    async with esme(here, NARROW) as peer:
        await peer.until("bound")
        peer.say({"to": "8613803000102", "text": "many", "times": BURST})
        await peer.until_said(lambda: len(peer.heard("submit_sm_resp")) == BURST)
        assert {a["command_status"] for a in peer.heard("submit_sm_resp")} == {0, 0x58}


async def test_pycmpp_by_2_0(here: PartnerSite) -> None:
    long = "【测试】" + "超长短信" * 40
    number = {"to": 7}

    def talk() -> tuple[list[Any], dict[int, reports.Report], list[pdus.Deliver]]:
        client = Pycmpp(here.cmpp_port, user="900100", password=PASSWORD)
        login = client.login()
        assert (login.status, login.version) == (0, 0x21)
        client.peer.submit("你好😀", ["13804000001"])
        client.peer.submit("群发", ["13804000002", "13804000003"])
        client.peer.submit(long, ["13804000004"])
        # Its own classes read answers; the deliveries in between, which it would answer itself, are answered here.
        answers, told, messages = [], {}, []
        while len(answers) < 5 or len(told) < 6 or not messages:
            frame = client.receive()
            pdu = CMPP20.decode(frame)
            if isinstance(pdu, pdus.SubmitResp):
                assert pdu.result == 0
                answers.append(pdu.msg_id)
            elif isinstance(pdu, pdus.Deliver):
                client.peer.send(CMPP20.encode(pdus.DeliverResp(sequence=pdu.sequence, msg_id=pdu.msg_id)))
                report = reports.of_deliver(pdu)
                if report is None:
                    messages.append(pdu)
                else:
                    told[report.msg_id] = report
                if len(told) == 6 and number.pop("to", 0):
                    loop.call_soon_threadsafe(send_mo, here, "13804000001", "回复 TD")
        client.peer.terminate()
        while int.from_bytes(client.receive()[4:8], "big") != cmpp_defines.CMPP_TERMINATE_RESP:
            pass
        client.peer.close()
        return answers, told, messages

    loop = asyncio.get_running_loop()
    answers, told, (message,) = await asyncio.to_thread(talk)
    (second,) = told.keys() - set(answers)
    assert second - 1 in answers
    assert {r.stat for r in told.values()} == {"DELIVRD"}
    assert message.msg_content.decode("utf-16-be") == "回复 TD"
    texts = {"1": "你好😀", "2": "群发", "3": "群发", "4": long}
    assert {n: here.arrived()[f"1380400000{n}"] for n in texts} == texts


async def test_pycmpp_against_the_rules(here: PartnerSite) -> None:
    def wrong() -> None:
        client = Pycmpp(here.cmpp_port, user="900100", password="wrong")
        assert client.login().status == 3
        client.peer.close()

    def unbound() -> None:
        client = Pycmpp(here.cmpp_port, user="900100", password=PASSWORD)
        client.peer.connect()
        client.peer.submit("早", ["13804000101"])
        with pytest.raises(AssertionError, match="closed"):
            client.receive()
        client.peer.close()

    def too_many() -> None:
        client = Pycmpp(here.cmpp_port, user=NARROW, password=PASSWORD)
        assert client.login().status == 0
        written: list[bytes] = []
        client.peer.send = written.append
        client.peer.delivery = 0
        for n in range(BURST):
            client.peer.submit(f"多{n}", ["13804000102"])
        client.peer.so.sendall(b"".join(written))
        found = [CMPP20.decode(client.receive()) for _ in range(BURST)]
        assert {pdu.result for pdu in found if isinstance(pdu, pdus.SubmitResp)} == {0, 8}
        client.peer.close()

    for work in (wrong, unbound, too_many):
        await asyncio.to_thread(work)


async def test_cmppy_by_3_0(here: PartnerSite) -> None:
    await here.node.furnish("partner", "set", "900100", "--any-source")

    def talk() -> list[Any]:
        requests = (
            SubmitReq("900100", "你好", dest_terminal_id=["8613805000001"], registered_delivery=1),
            SubmitReq("900100", "群发", dest_terminal_id=["8613805000002", "8613805000003"]),
        )
        return [cmppy.Cmppy("127.0.0.1", here.cmpp_port, "900100", PASSWORD).request(r) for r in requests]

    answers = await asyncio.to_thread(talk)
    assert [answer.result for answer in answers] == [0, 0]
    await until(lambda: "13805000003" in here.arrived(), what="all texts")
    texts = {"1": "你好", "2": "群发", "3": "群发"}
    assert {n: here.arrived()[f"1380500000{n}"] for n in texts} == texts
    # It connects for one request only: the report waits for whoever binds next.
    client = await here.cmpp()
    id_ = (
        answers[0].msg_id if isinstance(answers[0].msg_id, int) else int.from_bytes(answers[0].msg_id, "big")
    )
    await client.told([id_])
    assert client.reports()[id_][0].stat == "DELIVRD"
    await client.close()


async def test_cmppy_against_the_rules(here: PartnerSite) -> None:
    def talk() -> tuple[Any, Any]:
        wrong = cmppy.Cmppy("127.0.0.1", here.cmpp_port, "900100", "wrong")
        wrong._connect()
        wrong._write(ConnectReq("900100", "wrong").message)
        refused = parse_response(wrong._read())
        wrong._close()
        unbound = cmppy.Cmppy("127.0.0.1", here.cmpp_port, "900100", PASSWORD)
        unbound._connect()
        unbound._write(SubmitReq("900100", "早", dest_terminal_id=["8613805000101"]).message)
        answer = unbound._read()
        unbound._close()
        return refused, answer

    refused, answer = await asyncio.to_thread(talk)
    assert refused.status == 3
    assert answer is None, "closed without an answer"


KANNEL = """
group = core
admin-port = {admin}
admin-password = x
smsbox-port = {box}
log-level = 1
dlr-storage = internal
sms-resend-freq = 1
box-allow-ip = 127.0.0.1
admin-allow-ip = 127.0.0.1

group = smsc
smsc = smpp
smsc-id = smsgw
host = 127.0.0.1
port = {smpp}
transceiver-mode = true
smsc-username = {user}
smsc-password = {password}
system-type = ""
source-addr-ton = 0
source-addr-npi = 1
dest-addr-ton = 1
dest-addr-npi = 1
enquire-link-interval = 2
max-pending-submits = 10
alt-charset = "ISO-8859-1"

group = smsbox
bearerbox-host = 127.0.0.1
sendsms-port = {send}
log-level = 1

group = sendsms-user
username = u
password = p
concatenation = true
max-messages = 10
user-allow-ip = 127.0.0.1

group = sms-service
keyword = default
get-url = "http://127.0.0.1:{sink}/mo?from=%p&text=%a"
max-messages = 0
catch-all = true
"""


needs_kannel = pytest.mark.skipif(
    shutil.which("bearerbox") is None, reason="no Kannel here: it has not spoken with our server"
)


@dataclass
class Kannel:
    """bearerbox and smsbox, and what they have told of."""

    session: ClientSession
    ports: dict[str, int]
    told: list[dict[str, str]]

    async def send(self, n: str, text: str, **more: str) -> None:
        """A message to 1380600000N, whose DLRs are told of with ``n``."""
        dlr = f"http://127.0.0.1:{self.ports['sink']}/dlr?n={n}&state=%d"
        query = {
            "username": "u", "password": "p", "from": "10690001", "to": f"861380600000{n}", "text": text,
            "charset": "UTF-8", "dlr-mask": "31", "dlr-url": dlr,
        } | more  # fmt: skip
        if not text.isascii():
            query["coding"] = "2"
        url = f"http://127.0.0.1:{self.ports['send']}/cgi-bin/sendsms"
        async with self.session.get(url, params=query) as answer:
            assert answer.status == 202, await answer.text()


@contextlib.asynccontextmanager
async def kannel(
    here: PartnerSite,
    folder: Path,
    user: str,
    password: str = PASSWORD,
    boxes: Sequence[str] = ("bearerbox", "smsbox"),
) -> AsyncIterator[Kannel]:
    told: list[dict[str, str]] = []

    async def sink(request: web.Request) -> web.Response:
        told.append({"path": request.path, **request.query})
        return web.Response(text="")

    app = web.Application()
    app.router.add_get("/{any}", sink)
    runner = web.AppRunner(app)
    await runner.setup()
    ports = {name: free_port() for name in ("admin", "box", "send", "sink")}
    await web.TCPSite(runner, "127.0.0.1", ports["sink"]).start()
    config = folder / "kannel.conf"
    config.write_text(KANNEL.format(smpp=here.smpp_port, user=user, password=password, **ports))
    running = []
    with (folder / "kannel.log").open("ab") as log:
        try:
            for box in boxes:
                path = str(shutil.which(box))
                running.append(await asyncio.create_subprocess_exec(path, config, stdout=log, stderr=log))
                port = ports["box" if box == "bearerbox" else "send"]
                await until(lambda port=port: listening(port), what=f"{box} listens")  # type: ignore[misc]
            async with ClientSession() as session:
                yield Kannel(session, ports, told)
        finally:
            for process in reversed(running):
                process.terminate()
                try:
                    await asyncio.wait_for(process.wait(), 10)
                except TimeoutError:
                    process.kill()
                    await process.wait()
            await runner.cleanup()


@needs_kannel
async def test_kannel(here: PartnerSite, tmp_path: Path) -> None:
    async with kannel(here, tmp_path, "shop") as peer:
        texts = {"1": "by Kannel", "2": "A long text by Kannel, " * 12, "3": "坎内尔的长短信" * 20}
        for n, text in texts.items():
            await peer.send(n, text)
        await until(
            lambda: all(here.arrived().get(f"1380600000{n}") == t for n, t in texts.items()), what="all texts"
        )
        await until(
            lambda: texts.keys() <= {t["n"] for t in peer.told if t.get("state") == "1"}, what="its DLRs"
        )
        send_mo(here, "13806000001", "hello kannel")
        await until(lambda: any(t["path"] == "/mo" for t in peer.told), what="the reply")
    (reply,) = (t for t in peer.told if t["path"] == "/mo")
    assert reply["text"] == "hello kannel"
    assert not [t for t in peer.told if t.get("state") in ("2", "16")]


@needs_kannel
async def test_kannel_against_the_rules(here: PartnerSite, tmp_path: Path) -> None:
    def wrong() -> list[str]:
        return [line for line in here.node.log_lines() if "partner.wrong_login" in line and NARROW in line]

    async with kannel(here, tmp_path, NARROW, "wrong", boxes=("bearerbox",)):
        await until(wrong, what="it has heard that the password is wrong")
    # It has up to ten messages under way, the login a window of two: it is slowed down, and loses nothing.
    async with kannel(here, tmp_path, NARROW) as peer:
        await asyncio.gather(*(peer.send(str(n), f"many {n}", **{"dlr-mask": "0"}) for n in range(4, 10)))
        await until(
            lambda: all(here.arrived().get(f"1380600000{n}") == f"many {n}" for n in range(4, 10)),
            within=60, what="all texts",
        )  # fmt: skip


async def listening(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True
