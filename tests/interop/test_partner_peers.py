"""Clients that we did not write send through our servers to a simulated carrier, and get reports and replies."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import cmppy
import pytest
import pytest_asyncio
import smpplib.consts
import smpplib.exceptions
from aiohttp import ClientSession, web
from aiosmpplib import ESME, NPI, TON, DeliverSm, PhoneNumber, SubmitSm
from cmppy.request import SubmitReq
from harness import free_port, until
from node_smsc import NODE
from partner_client import PASSWORD, PartnerSite, partner_site
from pycmpp import cmpp_defines
from test_simulator_aiosmpplib import Heard
from test_simulator_cmpp_peers import Pycmpp
from test_simulator_smpplib import LONG_GSM, LONG_UCS2, Peer

from smsgw.aio import cancel, spawn
from smsgw.protocols.cmpp import pdus, reports
from smsgw.protocols.dialects import CMPP20

pytestmark = pytest.mark.asyncio(loop_scope="module")
FOLDER = Path(__file__).parent / "npm"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def here(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[PartnerSite]:
    connection = await asyncpg.connect(postgres.embedded.dsn, timeout=10)
    try:
        await connection.execute("CREATE DATABASE partner_peers")
        folder = tmp_path_factory.mktemp("peers") / "node"
        async with partner_site(folder, dsn=postgres.dsn("partner_peers")) as built:
            yield built
        await connection.execute("DROP DATABASE partner_peers WITH (FORCE)")
    finally:
        await connection.close()


def arrived(here: PartnerSite) -> dict[str, str]:
    return {m.destination: m.text for c in here.site.carriers.values() for m in c.inbox.messages}


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
    texts = {"1": "plain €[] text", "2": "你好", "3": LONG_UCS2, "4": LONG_GSM}
    assert {n: arrived(here)[f"1380100000{n}"] for n in texts} == texts

    def wrong() -> None:
        other = Peer(here.smpp_port)
        other.client.connect()
        with pytest.raises(smpplib.exceptions.PDUError) as caught:
            other.client.bind_transceiver(system_id="shop", password="wrong")
        assert caught.value.args[1] == smpplib.consts.SMPP_ESME_RINVPASWD
        other.client.disconnect()

    await asyncio.to_thread(wrong)


async def test_aiosmpplib(here: PartnerSite) -> None:
    heard = Heard()
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
    try:
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
        await asyncio.wait_for(running, 5)
        writer.close()
        await writer.wait_closed()
    finally:
        await cancel(running)
    assert heard.errors == []
    receipts = {m.log_id: m.parse_receipt() for m in heard.of(DeliverSm) if m.is_receipt()}
    assert {n: r["stat"] for n, r in receipts.items()} == dict.fromkeys(texts, "DELIVRD")
    (reply,) = (m for m in heard.of(DeliverSm) if not m.is_receipt())
    assert (reply.source.number, reply.short_message) == ("8613802000001", "回复 TD")
    assert {n: arrived(here)[n[2:]] for n in texts} == {n: t for n, (t, _) in texts.items()}


async def test_node_smpp(here: PartnerSite) -> None:
    process = await asyncio.create_subprocess_exec(
        NODE, FOLDER / "esme.js", str(here.smpp_port), "shop", PASSWORD,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    lines: list[dict[str, Any]] = []

    async def until_said(enough: Any) -> None:
        async with asyncio.timeout(20):
            while not enough():
                lines.append(json.loads(await process.stdout.readline()))

    def heard(command: str) -> list[dict[str, Any]]:
        return [line for line in lines if line["event"] == "pdu" and line["command"] == command]

    long = "节点的长短信" * 30
    try:
        await until_said(lambda: any(line["event"] == "bound" for line in lines))
        assert lines[-1]["command_status"] == 0
        assert lines[-1]["sc_interface_version"] == 0x34
        orders = [
            {"to": "8613803000001", "text": "from node"}, {"to": "8613803000002", "text": long},
            {"to": "8613803000003", "text": long, "how": "payload"},
        ]  # fmt: skip
        process.stdin.write("".join(json.dumps(order) + "\n" for order in orders).encode())
        total = 2 + -(-len(long) // 67)
        await until_said(lambda: len(heard("submit_sm_resp")) == total and len(heard("deliver_sm")) == total)
        send_mo(here, "13803000001", "回复 TD")
        await until_said(lambda: len(heard("deliver_sm")) == total + 1)
        await until_said(lambda: heard("enquire_link_resp"))
        process.stdin.write(b'"bye"\n')
        await asyncio.wait_for(process.wait(), 10)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    *receipts, reply = heard("deliver_sm")
    assert {r["receipted_message_id"] for r in receipts} == {a["message_id"] for a in heard("submit_sm_resp")}
    assert {r["message_state"] for r in receipts} == {2}
    assert (reply["source_addr"], reply["short_message"]["message"]) == ("8613803000001", "回复 TD")
    texts = {"1": "from node", "2": long, "3": long}
    assert {n: arrived(here)[f"1380300000{n}"] for n in texts} == texts


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
    assert {n: arrived(here)[f"1380400000{n}"] for n in texts} == texts


async def test_cmppy_by_3_0(here: PartnerSite) -> None:
    await here.node.ctl("partner", "set", "900100", "--any-source")

    def talk() -> list[Any]:
        requests = (
            SubmitReq("900100", "你好", dest_terminal_id=["8613805000001"], registered_delivery=1),
            SubmitReq("900100", "群发", dest_terminal_id=["8613805000002", "8613805000003"]),
        )
        return [cmppy.Cmppy("127.0.0.1", here.cmpp_port, "900100", PASSWORD).request(r) for r in requests]

    answers = await asyncio.to_thread(talk)
    assert [answer.result for answer in answers] == [0, 0]
    await until(lambda: "13805000003" in arrived(here), what="all texts")
    texts = {"1": "你好", "2": "群发", "3": "群发"}
    assert {n: arrived(here)[f"1380500000{n}"] for n in texts} == texts
    # It connects for one request only: the report waits for whoever binds next.
    client = await here.cmpp()
    id_ = (
        answers[0].msg_id if isinstance(answers[0].msg_id, int) else int.from_bytes(answers[0].msg_id, "big")
    )
    await client.told([id_])
    assert client.reports()[id_][0].stat == "DELIVRD"
    await client.close()


KANNEL = """
group = core
admin-port = {admin}
admin-password = x
smsbox-port = {box}
log-level = 1
dlr-storage = internal
box-allow-ip = 127.0.0.1
admin-allow-ip = 127.0.0.1

group = smsc
smsc = smpp
smsc-id = smsgw
host = 127.0.0.1
port = {smpp}
transceiver-mode = true
smsc-username = shop
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


@pytest.mark.skipif(
    shutil.which("bearerbox") is None, reason="no Kannel here: it has not spoken with our server"
)
async def test_kannel(here: PartnerSite, tmp_path: Path) -> None:
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
    config = tmp_path / "kannel.conf"
    config.write_text(KANNEL.format(smpp=here.smpp_port, password=PASSWORD, **ports))
    boxes = []
    with (tmp_path / "kannel.log").open("wb") as log:
        try:
            for box in ("bearerbox", "smsbox"):
                boxes.append(
                    await asyncio.create_subprocess_exec(
                        str(shutil.which(box)), config, stdout=log, stderr=log
                    )
                )
                await until(lambda: listening(ports["box"]), what="bearerbox listens")
            async with ClientSession() as session:
                await until(lambda: listening(ports["send"]), what="smsbox listens")
                url = f"http://127.0.0.1:{ports['send']}/cgi-bin/sendsms"
                long = "A long text by Kannel, " * 12
                chinese = "坎内尔的长短信" * 20
                for n, text in enumerate(("by Kannel", long, chinese), 1):
                    dlr = f"http://127.0.0.1:{ports['sink']}/dlr?n={n}&state=%d"
                    query = {
                        "username": "u", "password": "p", "from": "10690001", "to": f"861380600000{n}", "text": text,
                        "charset": "UTF-8", "dlr-mask": "31", "dlr-url": dlr,
                    }  # fmt: skip
                    if not text.isascii():
                        query["coding"] = "2"
                    async with session.get(url, params=query) as answer:
                        assert answer.status == 202, await answer.text()
            texts = {"1": "by Kannel", "2": long, "3": chinese}
            await until(
                lambda: all(arrived(here).get(f"1380600000{n}") == t for n, t in texts.items()),
                what="all texts",
            )
            await until(
                lambda: {"1", "2", "3"} <= {t["n"] for t in told if t.get("state") == "1"}, what="its DLRs"
            )
            send_mo(here, "13806000001", "hello kannel")
            await until(lambda: any(t["path"] == "/mo" for t in told), what="the reply")
        finally:
            for box in reversed(boxes):
                box.terminate()
                try:
                    await asyncio.wait_for(box.wait(), 10)
                except TimeoutError:
                    box.kill()
                    await box.wait()
            await runner.cleanup()
    (reply,) = (t for t in told if t["path"] == "/mo")
    assert reply["text"] == "hello kannel"
    assert not [t for t in told if t.get("state") in ("2", "16")]


async def listening(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True
