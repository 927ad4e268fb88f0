"""Traffic as a third party reads it: captured from the wire and dissected by ``tshark``."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from harness import CHANNELS, PASSWORD, USER, Sent, Site, site, until
from wireshark import Dissected, capture, dissect

from smsgw.protocols.cmpp import pdus as cmpp
from smsgw.protocols.dialects import by_name
from smsgw.protocols.pdu import Pdu
from smsgw.protocols.render import from_fields
from smsgw.protocols.smpp import pdus as smpp
from smsgw.simulator import WireLog

pytestmark = [
    pytest.mark.root_only,  # capturing is
    pytest.mark.skipif(shutil.which("tshark") is None, reason="no tshark here: nobody has dissected our traffic"),
]

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "vectors.json").read_text(encoding="utf-8"))["pdus"]

#: Where the dissector is wrong, or knows less than the specification.
NOT_FOR_TSHARK = {
    "smpp34-submit-sm-resp-2": "status 0 without a body: we take it, the dissector does not",
    "smpp50-broadcast-sm-1": "the dissector does not know broadcast_sm's message_id (5.0, 4.4.1.1)",
}

COMMAND = {"smpp": "smpp.command_id", "cmpp": "cmpp.Command_Id"}
SEQUENCE = {"smpp": "smpp.sequence_number", "cmpp": "cmpp.Sequence_Id"}


def kinds(found: list[Dissected], protocol: str) -> list[tuple[int, int]]:
    """Command and sequence number of each."""
    return [(int(pdu[COMMAND[protocol]], 0), int(pdu[SEQUENCE[protocol]], 0)) for pdu in found]


async def exchange(path: Path, protocol: str, requests: list[bytes], answers: list[bytes]) -> list[Dissected]:
    """Send octets both ways over a connection and return what the dissector makes of them."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"".join(answers))
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, capture(path, [port]):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for frame in requests:  # one and a half at a time: PDUs and segments need not agree
            writer.write(frame[:20])
            await writer.drain()
            writer.write(frame[20:])
        writer.write_eof()
        assert len(await reader.read()) == sum(map(len, answers))
        writer.close()
        await writer.wait_closed()

    return await dissect(path, port, protocol)


@pytest.mark.parametrize(
    ("protocol", "dialects"), [("smpp", ("smpp34", "smpp50")), ("cmpp", ("cmpp30",))], ids=["smpp", "cmpp30"]
)
async def test_every_kind_of_pdu(tmp_path: Path, protocol: str, dialects: tuple[str, ...]) -> None:
    vectors = [v for v in VECTORS if v["protocol"] in dialects and v["id"] not in NOT_FOR_TSHARK]
    frames = []
    for vector in vectors:
        dialect = by_name(vector["protocol"])
        frames.append(dialect.encode(from_fields(dialect, vector["fields"])))
    requests = [frame for frame in frames if not frame[4] & 0x80]
    answers = [frame for frame in frames if frame[4] & 0x80]

    found = await exchange(tmp_path / "kinds.pcapng", protocol, requests, answers)
    for server_sent, sent in ((False, requests), (True, answers)):
        read = kinds([pdu for pdu in found if pdu.server_sent is server_sent], protocol)
        place = {"smpp": slice(12, 16), "cmpp": slice(8, 12)}[protocol]
        assert read == [(int.from_bytes(f[4:8], "big"), int.from_bytes(f[place], "big")) for f in sent]


async def test_a_malformed_pdu_is_noticed(tmp_path: Path) -> None:
    whole = by_name("smpp34").encode(smpp.SubmitSm(sequence=1, destination_addr="8613300000001", short_message=b"text"))
    cut = (len(whole) - 3).to_bytes(4, "big") + whole[4:-3]
    with pytest.raises(AssertionError, match="malformed"):
        await exchange(tmp_path / "cut.pcapng", "smpp", [cut], [])


#: Text that the dissector shows whole: it does not join surrogates.
TEXTS = ["plain €[] text", "您的验证码是 8848", "长短信" * 30, "x" * 152 + "€" + "y" * 9]
REPLY = "退订" * 40

SMPP_REQUESTS: dict[type[Pdu], type[Pdu]] = {
    smpp.BindTransceiver: smpp.BindTransceiverResp,
    smpp.SubmitSm: smpp.SubmitSmResp,
    smpp.DeliverSm: smpp.DeliverSmResp,
    smpp.EnquireLink: smpp.EnquireLinkResp,
    smpp.Unbind: smpp.UnbindResp,
}
CMPP_REQUESTS: dict[type[Pdu], type[Pdu]] = {
    cmpp.Connect: cmpp.ConnectResp,
    cmpp.Submit: cmpp.SubmitResp,
    cmpp.Deliver: cmpp.DeliverResp,
    cmpp.ActiveTest: cmpp.ActiveTestResp,
    cmpp.Terminate: cmpp.TerminateResp,
}


def octets(pdu: Dissected, name: str) -> bytes:
    return bytes.fromhex(pdu.raw[name])


def joined(parts: list[Dissected], text: Callable[[Dissected], str]) -> str:
    """The text of parts that say by their user data headers which they are."""
    if len(parts) == 1:
        return text(parts[0])
    name = "smpp.message" if "smpp.message" in parts[0].raw else "cmpp.Msg_Content"
    headers = [octets(part, name)[:6] for part in parts]
    assert [header[:3] + header[4:] for header in headers] == [
        bytes((5, 0, 3, len(parts), number)) for number in range(1, len(parts) + 1)
    ]
    assert len({header[3] for header in headers}) == 1
    return "".join(map(text, parts))


def smpp_text(pdu: Dissected) -> str:
    return pdu["smpp.message_text"]


def cmpp_text(pdu: Dissected) -> str:
    """The dissector does not show CMPP's texts, but where they are and what they are made of."""
    content = octets(pdu, "cmpp.Msg_Content")[6 if pdu["cmpp.TP_udhi"] == "1" else 0 :]
    assert int(pdu["cmpp.Msg_Length"]) == len(octets(pdu, "cmpp.Msg_Content"))
    return content.decode({"0": "ascii", "8": "utf-16-be"}[pdu["cmpp.Msg_Fmt"]])


async def talk(built: Site) -> dict[str, list[Sent]]:
    """Everything that daemon and carrier say to each other, until a polite end."""
    await built.node.start()
    await built.bound()
    sent: dict[str, list[Sent]] = {}
    for name, carrier in built.carriers.items():
        assert carrier.wirelog is not None
        sent[name] = [await built.customer.send(name, text) for text in TEXTS]
        for one in sent[name]:
            await built.customer.reaches(one.message_id, "delivered")
        carrier.send_mo("8613800000001", CHANNELS[name][2], REPLY)
    for name, carrier in built.carriers.items():
        path = built.node.data_dir.with_name(f"{name}.jsonl")
        await until(lambda c=carrier: c.counts.replies_acknowledged == 2, what="the reply is acknowledged")
        await until(
            lambda p=path: any(kind in p.read_text() for kind in ("EnquireLinkResp", "ActiveTestResp")),
            what="a keep-alive is answered",
        )
    assert await built.node.stop() == 0
    return sent


async def test_daemon_and_simulator(dsn: str, tmp_path: Path) -> None:
    async with site(
        tmp_path / "node", dsn=dsn, channels=["smpp34", "cmpp30"], start=False,
        channel_options=["--profile", '{"keepalive": 1}'],
    ) as built:  # fmt: skip
        ports = {name: carrier.port for name, carrier in built.carriers.items()}
        for name, carrier in built.carriers.items():
            carrier.wirelog = WireLog(tmp_path / f"{name}.jsonl")
        async with capture(tmp_path / "live.pcapng", ports.values()):
            sent = await talk(built)
        for carrier in built.carriers.values():
            carrier.wirelog.close()

    for name, protocol, requests in (("smpp34", "smpp", SMPP_REQUESTS), ("cmpp30", "cmpp", CMPP_REQUESTS)):
        found = await dissect(tmp_path / "live.pcapng", ports[name], protocol)
        commands = {kind.__name__: kind.command_id for pair in requests.items() for kind in pair}
        logged = [json.loads(line) for line in (tmp_path / f"{name}.jsonl").read_text("utf-8").splitlines()]
        for server_sent, direction in ((False, "in"), (True, "out")):
            assert kinds([pdu for pdu in found if pdu.server_sent is server_sent], protocol) == [
                (commands[line["name"]], line["sequence"]) for line in logged if line["dir"] == direction
            ]
        counts = Counter(command for command, _ in kinds(found, protocol))
        assert set(counts) == set(commands.values())
        for request, answer in requests.items():
            assert counts[request.command_id] == counts[answer.command_id], request
        by_kind = {
            kind: [pdu for pdu in found if int(pdu[COMMAND[protocol]], 0) == kind.command_id]
            for pair in requests.items()
            for kind in pair
        }
        (check_smpp if protocol == "smpp" else check_cmpp)(by_kind, sent[name])


def check_smpp(pdus: dict[type[Pdu], list[Dissected]], sent: list[Sent]) -> None:
    (bind,) = pdus[smpp.BindTransceiver]
    assert (bind["smpp.system_id"], bind["smpp.password"]) == (USER, PASSWORD)
    assert bind["smpp.interface_version"] == str(0x34)
    for answers in (smpp.BindTransceiverResp, smpp.SubmitSmResp, smpp.DeliverSmResp):
        assert {pdu["smpp.command_status"] for pdu in pdus[answers]} == {"0x00000000"}

    parts = pdus[smpp.SubmitSm]
    assert {pdu["smpp.source_addr"] for pdu in parts} == {CHANNELS["smpp34"][2]}
    assert {pdu["smpp.regdel.receipt"] for pdu in parts} == {"0x01"}
    for one in sent:
        own = [pdu for pdu in parts if pdu["smpp.destination_addr"] == "86" + one.to]
        assert len(own) == one.parts
        assert joined(own, smpp_text) == one.content

    receipts = [pdu for pdu in pdus[smpp.DeliverSm] if "smpp.receipted_message_id" in pdu.shown]
    ids = [pdu["smpp.message_id"] for pdu in pdus[smpp.SubmitSmResp]]
    assert sorted(pdu["smpp.receipted_message_id"] for pdu in receipts) == sorted(ids)
    for pdu in receipts:
        assert pdu["smpp.esm.submit.msg_type"] == "0x01"
        assert pdu["smpp.message_state"] == "2"
        assert smpp_text(pdu).startswith(f"id:{pdu['smpp.receipted_message_id']} ")
    replies = [pdu for pdu in pdus[smpp.DeliverSm] if pdu not in receipts]
    assert joined(replies, smpp_text) == REPLY
    assert {pdu["smpp.source_addr"] for pdu in replies} == {"8613800000001"}


def check_cmpp(pdus: dict[type[Pdu], list[Dissected]], sent: list[Sent]) -> None:
    (connect,) = pdus[cmpp.Connect]
    assert connect["cmpp.connect.Source_Addr"] == USER
    assert octets(connect, "cmpp.Version") == b"\x30"
    (admitted,) = pdus[cmpp.ConnectResp]
    assert admitted["cmpp.connect_resp.Status"] == "0"
    assert {pdu["cmpp.submit_resp.Result"] for pdu in pdus[cmpp.SubmitResp]} == {"0"}
    assert {pdu["cmpp.deliver_resp.Result"] for pdu in pdus[cmpp.DeliverResp]} == {"0"}

    parts = pdus[cmpp.Submit]
    assert {pdu["cmpp.submit.Src_Id"] for pdu in parts} == {CHANNELS["cmpp30"][2]}
    assert {pdu["cmpp.submit.Msg_src"] for pdu in parts} == {USER}
    assert {pdu["cmpp.submit.Registered_Delivery"] for pdu in parts} == {"True"}
    for one in sent:
        own = [pdu for pdu in parts if pdu["cmpp.Dest_terminal_Id"] == one.to]
        assert [int(pdu["cmpp.submit.Pk_number"]) for pdu in own] == list(range(1, one.parts + 1))
        assert {int(pdu["cmpp.submit.Pk_total"]) for pdu in own} == {one.parts}
        assert joined(own, cmpp_text) == one.content

    reports = [pdu for pdu in pdus[cmpp.Deliver] if pdu["cmpp.deliver.Registered_Delivery"] == "True"]
    ids = [pdu["cmpp.Msg_Id"] for pdu in pdus[cmpp.SubmitResp]]
    assert sorted(pdu.shown["cmpp.Msg_Id"][1] for pdu in reports) == sorted(ids)
    assert {pdu["cmpp.deliver.Report.Status"] for pdu in reports} == {"DELIVRD"}
    assert Counter(pdu["cmpp.Dest_terminal_Id"] for pdu in reports) == {one.to: one.parts for one in sent}
    replies = [pdu for pdu in pdus[cmpp.Deliver] if pdu not in reports]
    assert joined(replies, cmpp_text) == REPLY
    assert {pdu["cmpp.deliver.Src_terminal_Id"] for pdu in replies} == {"8613800000001"}
