"""Clients that we did not write: they send through our servers, and through the simulator, and get reports and replies.

Each is tried with what it can do of: a submit, its report, a reply, long messages (header, ``sar_…``, payload), more
than its window, a submit without a login, a wrong password. What a client cannot do is not here: Kannel and aiosmpplib
keep to the order of a session, and Kannel knows no ``sar_…``; aiosmpplib builds no headers of its own; cmppy opens a
connection for each request.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import re
import shutil
import struct
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cmppy
import pycmpp
import pytest
import pytest_asyncio
import smpplib.client
import smpplib.consts
import smpplib.exceptions
import smpplib.gsm
import smpplib.smpp
from aiohttp import ClientSession, web
from aiosmpplib import (
    ESME,
    NPI,
    TON,
    AbstractHook,
    DeliverSm,
    EnquireLinkResp,
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
from pycmpp.response import ConnectResponseInstance

from smsgw.protocols.cmpp import pdus, reports
from smsgw.protocols.dialects import CMPP20
from smsgw.runtime.aio import cancel, spawn
from smsgw.simulator import Behaviour, Carrier, CarrierConfig, Delay

pytestmark = pytest.mark.asyncio(loop_scope="module")
FOLDER = Path(__file__).parent / "npm"
USERS = {"smpp": "shop", "cmpp": "900100"}
NARROW = "narrow"
"""A login with a window of 2."""
BURST = 60
LONG_UCS2 = "长短信" * 60
LONG_GSM = "The quick brown fox jumps over the lazy dog. " * 8
"""Without characters of the extension table: smpplib itself may cut an escape pair at a part boundary."""


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def here(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[PartnerSite]:
    async with module_site(postgres, tmp_path_factory.mktemp("partners"), "partner_peers") as built:
        add = ("partner", "add", "acme", "--user", NARROW, "--password", PASSWORD, "--window", "2")
        await asyncio.gather(*(built.node.furnish(*add, "--protocol", p) for p in ("smpp", "cmpp")))
        yield built


@dataclass
class Place:
    """What a client logs in to."""

    smpp: int
    cmpp: int
    carriers: Sequence[Carrier]

    def send_mo(self, number: str, text: str) -> None:
        """To whoever is bound."""
        for carrier in self.carriers:
            if carrier.bound:
                carrier.send_mo(number, "10690001", text)
                return

    def arrived(self) -> dict[str, str]:
        """National number -> text, as phones have it."""
        return {m.destination.removeprefix("86"): m.text for c in self.carriers for m in c.messages}


@pytest_asyncio.fixture(params=["server", "simulator"], loop_scope="module")
async def place(request: pytest.FixtureRequest, here: PartnerSite) -> AsyncIterator[Place]:
    """Our servers for partners, or simulated carriers."""
    if request.param == "server":
        yield Place(here.smpp_port, here.cmpp_port, [here.site.carriers["cmpp30"]])
        return
    behaviour = Behaviour(report_delay=Delay.fixed(0.05))
    async with contextlib.AsyncExitStack() as stack:
        carriers = [
            await stack.enter_async_context(
                Carrier(CarrierConfig(protocol=protocol, users={user: PASSWORD}, behaviour=behaviour))
            )
            for protocol, user in USERS.items()
        ]
        yield Place(carriers[0].port, carriers[1].port, carriers)
        assert [carrier.counts.violations for carrier in carriers] == [{}, {}]


# --- smpplib -------------------------------------------------------------------------------------------------------


class Peer:
    """smpplib's blocking client, driven in a thread."""

    def __init__(self, port: int) -> None:
        self.client = smpplib.client.Client("127.0.0.1", port, timeout=30, allow_unknown_opt_params=True)
        self.sent: list[Any] = []
        self.received: list[Any] = []
        self.client.set_message_sent_handler(lambda pdu: self.sent.append(pdu))
        self.client.set_message_received_handler(lambda pdu: self.received.append(pdu))
        self.client.connect()

    def send(self, to: str, text: str, encoding: int = smpplib.consts.SMPP_ENCODING_DEFAULT) -> int:
        parts, coding, esm_class = smpplib.gsm.make_parts(text, encoding)
        for part in parts:
            self.one(to, short_message=part, data_coding=coding, esm_class=esm_class)
        return len(parts)

    def one(self, to: str, **fields: Any) -> None:
        common = {"source_addr": "10690001", "source_addr_ton": 1, "dest_addr_ton": 1, "registered_delivery": True}
        self.client.send_message(destination_addr=to, **common | fields)

    def read_until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self.client.read_once(auto_send_enquire_link=False)

    def close(self) -> None:
        self.client.unbind()
        self.client.disconnect()


async def test_smpplib(place: Place) -> None:
    peer = await asyncio.to_thread(Peer, place.smpp)

    def talk() -> None:
        peer.client.bind_transceiver(system_id=USERS["smpp"], password=PASSWORD)
        expected = peer.send("8613801000001", "plain €[] text")
        expected += peer.send("8613801000002", "你好")
        expected += peer.send("8613801000003", LONG_UCS2, smpplib.consts.SMPP_ENCODING_ISO10646)
        expected += peer.send("8613801000004", LONG_GSM)
        pieces, _, _ = smpplib.gsm.make_parts(LONG_UCS2, smpplib.consts.SMPP_ENCODING_ISO10646, use_udhi=False)
        for n, piece in enumerate(pieces, 1):
            sar = {"sar_msg_ref_num": 5, "sar_total_segments": len(pieces), "sar_segment_seqnum": n}
            peer.one("8613801000005", short_message=piece, data_coding=8, **sar)
        peer.one("8613801000006", data_coding=8, message_payload=LONG_UCS2.encode("utf-16-be"))
        expected += len(pieces) + 1
        peer.read_until(lambda: len(peer.sent) == expected and len(peer.received) == expected)

    await asyncio.to_thread(talk)
    place.send_mo("13801000001", "回复 TD")
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
    texts = ("plain €[] text", "你好", LONG_UCS2, LONG_GSM, LONG_UCS2, LONG_UCS2)
    wanted = {f"1380100000{n}": text for n, text in enumerate(texts, 1)}
    assert place.arrived() | wanted == place.arrived()


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

    def talk() -> None:
        wrong, unbound, busy = (Peer(here.smpp_port) for _ in range(3))
        with pytest.raises(smpplib.exceptions.PDUError) as caught:
            wrong.client.bind_transceiver(system_id="shop", password="wrong")
        assert caught.value.args[1] == smpplib.consts.SMPP_ESME_RINVPASWD
        wrong.client.disconnect()
        assert statuses(unbound, 1) == {smpplib.consts.SMPP_ESME_RINVBNDSTS}
        unbound.client.disconnect()
        busy.client.bind_transmitter(system_id=NARROW, password=PASSWORD)
        assert statuses(busy, BURST) == {0, smpplib.consts.SMPP_ESME_RTHROTTLED}
        busy.close()

    await asyncio.to_thread(talk)


# --- aiosmpplib ----------------------------------------------------------------------------------------------------


class Heard(AbstractHook):
    """What has come in; also what the client does not read: all answers but one to a long message, refused logins."""

    def __init__(self) -> None:
        self.messages: list[Any] = []
        self.errors: list[Exception] = []
        self.unread: list[bytes] = []

    def of(self, kind: type) -> list[Any]:
        return [message for message in self.messages if type(message) is kind]

    async def sending(self, smpp_message: Any, pdu: bytes, client_id: str) -> None:
        pass

    async def received(self, smpp_message: Any, pdu: bytes, client_id: str) -> None:
        if smpp_message is None:
            self.unread.append(pdu)
        else:
            self.messages.append(smpp_message)

    async def send_error(self, smpp_message: Any, error: Exception, client_id: str) -> None:
        self.errors.append(error)


async def _closed(esme: ESME) -> None:
    """It forgets its connection without closing it."""
    assert esme._writer is not None
    esme._writer.close()
    await esme._writer.wait_closed()


async def test_aiosmpplib(place: Place) -> None:
    heard = Heard()
    how = {"hook": heard, "enquire_link_interval": 0.3, "log_level": "CRITICAL"}
    esme = ESME("127.0.0.1", place.smpp, USERS["smpp"], PASSWORD, **how)
    running = spawn(esme.start(), name="esme")
    texts = {
        "8613802000001": ("plain €[] text", "gsm0338"),
        "8613802000002": ("您的验证码是 8848", "ucs2"),
        "8613802000003": (LONG_UCS2, "ucs2"),
        "8613802000004": (LONG_GSM, "gsm0338"),
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
        await until(lambda: heard.of(EnquireLinkResp), what="a keep-alive answered")
        place.send_mo("13802000001", "回复 TD")
        await until(lambda: len(heard.of(DeliverSm)) == 5, what="the reply")
        writer = esme._writer
        await esme.stop()
        await asyncio.wait_for(running, 30)
        esme._writer = writer
        await _closed(esme)
    finally:
        await cancel(running)
    assert heard.errors == []
    receipts = {m.log_id: m.parse_receipt() for m in heard.of(DeliverSm) if m.is_receipt()}
    assert {n: r["stat"] for n, r in receipts.items()} == dict.fromkeys(texts, "DELIVRD")
    (reply,) = (m for m in heard.of(DeliverSm) if not m.is_receipt())
    assert (reply.source.number.removeprefix("86"), reply.short_message) == ("13802000001", "回复 TD")
    assert {n: place.arrived()[n[2:]] for n in texts} == {n: t for n, (t, _) in texts.items()}
    await until(lambda: place.arrived().get("13802000005") == "".join(pieces), what="the text of the parts")


async def test_aiosmpplib_with_a_wrong_password(here: PartnerSite) -> None:
    """It reads the body of a refused bind, too, and breaks where there is none."""
    heard = Heard()
    peer = ESME("127.0.0.1", here.smpp_port, "shop", "wrong", hook=heard, log_level="CRITICAL")
    with pytest.raises(SmppError) as caught:
        await asyncio.wait_for(peer.connect(), 15)
    await _closed(peer)
    assert caught.value.command_status == SmppCommandStatus.ESME_RINVPASWD
    assert heard.unread == []


# --- the npm package smpp ------------------------------------------------------------------------------------------


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
            {"to": "8613803000001", "text": "from node"},
            {"to": "8613803000002", "text": long},
            {"to": "8613803000003", "text": long, "how": "payload"},
            {"to": "8613803000004", "text": long, "how": "sar"},
        )
        total = 2 + 2 * parts
        await peer.until_said(
            lambda: len(peer.heard("submit_sm_resp")) == total and len(peer.heard("deliver_sm")) == total
        )
        here.site.carriers["cmpp30"].send_mo("13803000001", "10690001", "回复 TD")
        await peer.until_said(lambda: len(peer.heard("deliver_sm")) == total + 1)
        await peer.until_said(lambda: peer.heard("enquire_link_resp"))
        peer.say("bye")
        await asyncio.wait_for(peer.process.wait(), 10)
    *receipts, reply = peer.heard("deliver_sm")
    ids = {a["message_id"] for a in peer.heard("submit_sm_resp")}
    assert {r["receipted_message_id"] for r in receipts} == ids
    assert {r["message_state"] for r in receipts} == {2}
    assert (reply["source_addr"], reply["short_message"]["message"]) == ("8613803000001", "回复 TD")
    assert [here.arrived()[f"1380300000{n}"] for n in range(1, 5)] == ["from node", long, long, long]


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


# --- CMPP ----------------------------------------------------------------------------------------------------------


class Pycmpp:
    """pycmpp without its reading thread, which cannot be ended; it speaks 2.0 and says 0x21."""

    def __init__(self, port: int, user: str = USERS["cmpp"], password: str = PASSWORD) -> None:
        self.peer = pycmpp.Cmpp("127.0.0.1", port, user, password, "10690001", delivery=1)
        self.peer.so.settimeout(5)
        self.peer.send = self._send
        self.sent: list[bytes] = []

    def _send(self, message: bytes) -> None:
        self.sent.append(message)
        self.peer.so.sendall(message)

    def receive(self) -> bytes:
        header = self._exactly(12)
        return header + self._exactly(struct.unpack("!L", header[:4])[0] - 12)

    def _exactly(self, size: int) -> bytes:
        octets = b""
        while len(octets) < size:
            chunk = self.peer.so.recv(size - len(octets))
            assert chunk, "closed"
            octets += chunk
        return octets

    def login(self) -> ConnectResponseInstance:
        """With the check of AuthenticatorISMG, which the package leaves undone."""
        self.peer.connect()
        self.peer.auth()
        answer = ConnectResponseInstance()
        answer.resolve(self.receive())
        if not answer.status:
            proof = hashlib.md5(b"\0" + self.sent[0][18:34] + PASSWORD.encode())  # noqa: S324  CMPP says MD5
            assert answer.authenticator_ISMG == proof.digest()
        return answer


async def test_pycmpp_by_2_0(place: Place) -> None:
    long = "【测试】" + "超长短信" * 40
    number = {"to": 7}
    loop = asyncio.get_running_loop()

    def talk() -> tuple[list[Any], dict[int, reports.Report], list[pdus.Deliver]]:
        client = Pycmpp(place.cmpp)
        login = client.login()
        assert (login.status, login.version) == (0, 0x21)
        client.peer.submit("你好😀", ["13804000001"])
        client.peer.submit("群发", ["13804000002", "13804000003"])
        client.peer.submit(long, ["13804000004"])
        # Its own classes read answers; the deliveries in between, which it would answer itself, are answered here.
        answers, told, messages = [], {}, []
        while len(answers) < 5 or len(told) < 6 or not messages:
            pdu = CMPP20.decode(client.receive())
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
                    loop.call_soon_threadsafe(place.send_mo, "13804000001", "回复 TD")
        client.peer.terminate()
        while int.from_bytes(client.receive()[4:8], "big") != cmpp_defines.CMPP_TERMINATE_RESP:
            pass
        client.peer.close()
        return answers, told, messages

    answers, told, (message,) = await asyncio.to_thread(talk)
    (second,) = told.keys() - set(answers)
    assert second - 1 in answers
    assert {r.stat for r in told.values()} == {"DELIVRD"}
    assert message.msg_content.decode("utf-16-be") == "回复 TD"
    assert [place.arrived()[f"1380400000{n}"] for n in range(1, 5)] == ["你好😀", "群发", "群发", long]


async def test_pycmpp_against_the_rules(here: PartnerSite) -> None:
    def talk() -> None:
        wrong, unbound = Pycmpp(here.cmpp_port, password="wrong"), Pycmpp(here.cmpp_port)
        assert wrong.login().status == 3
        wrong.peer.close()
        unbound.peer.connect()
        unbound.peer.submit("早", ["13804000101"])
        with pytest.raises(AssertionError, match="closed"):
            unbound.receive()
        unbound.peer.close()
        client = Pycmpp(here.cmpp_port, user=NARROW)
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

    await asyncio.to_thread(talk)


async def test_cmppy_by_3_0(place: Place, here: PartnerSite) -> None:
    await here.node.furnish("partner", "set", "900100", "--any-source")
    if simulated := here.cmpp_port != place.cmpp:  # it takes what follows its answer for part of it
        place.carriers[1].change(report_delay="60000")

    def talk() -> list[Any]:
        requests = (
            SubmitReq("900100", "你好", dest_terminal_id=["8613805000001"], registered_delivery=1),
            SubmitReq("900100", "群发", dest_terminal_id=["8613805000002", "8613805000003"]),
        )
        return [cmppy.Cmppy("127.0.0.1", place.cmpp, "900100", PASSWORD).request(r) for r in requests]

    answers = await asyncio.to_thread(talk)
    assert [answer.result for answer in answers] == [0, 0]
    await until(lambda: "13805000003" in place.arrived(), what="all texts")
    assert [place.arrived()[f"1380500000{n}"] for n in range(1, 4)] == ["你好", "群发", "群发"]
    if simulated:
        return
    # It connects for one request only: the report waits for whoever binds next.
    client = await here.cmpp()
    id_ = answers[0].msg_id if isinstance(answers[0].msg_id, int) else int.from_bytes(answers[0].msg_id, "big")
    await client.told([id_])
    assert client.reports()[id_][0].stat == "DELIVRD"
    await client.close()


async def test_cmppy_against_the_rules(here: PartnerSite) -> None:
    def asked(request: Any) -> Any:
        client = cmppy.Cmppy("127.0.0.1", here.cmpp_port, "900100", PASSWORD)
        client._connect()
        client._write(request.message)
        answer = client._read()
        client._close()
        return answer

    def talk() -> tuple[Any, Any]:
        right = ConnectReq("900100", PASSWORD)
        answer = parse_response(asked(right))
        assert (answer.status, answer.version, answer.sequence) == (0, 0x30, right.sequence)
        proof = hashlib.md5(answer.raw_status + right.authenticator_source + PASSWORD.encode())  # noqa: S324
        assert answer.authenticator_ISMG == proof.digest()
        early = SubmitReq("900100", "早", dest_terminal_id=["8613805000101"])
        return parse_response(asked(ConnectReq("900100", "wrong"))), asked(early)

    refused, answer = await asyncio.to_thread(talk)
    assert refused.status == 3
    assert answer is None, "closed without an answer"


# --- Kannel --------------------------------------------------------------------------------------------------------

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
    here: PartnerSite, folder: Path, user: str, password: str = PASSWORD, boxes: Sequence[str] = ("bearerbox", "smsbox")
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
                await until(partial(listening, port), what=f"{box} listens")
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
        await until(lambda: all(here.arrived().get(f"1380600000{n}") == t for n, t in texts.items()), what="all texts")
        await until(lambda: texts.keys() <= {t["n"] for t in peer.told if t.get("state") == "1"}, what="its DLRs")
        here.site.carriers["cmpp30"].send_mo("13806000001", "10690001", "hello kannel")
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
            within=60,
            what="all texts",
        )


async def listening(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True
