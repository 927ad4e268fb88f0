"""Libraries for SMPP that others wrote, in both roles: they send through our server, and are the SMSC of our channels.

What each of them can is in docs/interop.md. ``foreign.py`` makes them all alike.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from foreign import NAMES, Foreign, Kind, Line, foreign, kinds
from harness import until
from partner_client import PASSWORD, PartnerSite, module_site
from php_smpp import PhpSmpp

from smsgw.core import text as alphabets, udh
from smsgw.core.text import Coding

pytestmark = pytest.mark.asyncio(loop_scope="module")

LONG = "外来程序发出的长短信" * 12
PIECES = [LONG[n : n + 67] for n in range(0, len(LONG), 67)]
NARROW = "narrow"
"""A login with a window of 2."""
BURST = 40
NO_SUCH_ID = "4711"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Kind]:
    return kinds(tmp_path_factory.mktemp("peers"))


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def here(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[PartnerSite]:
    """Where ESMEs send to China Mobile by our carrier; what is for China Telecom waits for an SMSC."""
    folder = tmp_path_factory.mktemp("partners")
    async with module_site(postgres, folder, "foreign_smpp", channels=["cmpp30"]) as there:
        await there.node.ctl(
            "partner", "add", "acme", "--user", NARROW, "--password", PASSWORD, "--window", "2", "--protocol", "smpp"
        )
        yield there


def bind(peer: Foreign, kind: str = "transceiver", user: str = "shop", password: str = PASSWORD) -> Any:
    return peer.ask(f"bind_{kind}", system_id=user, password=password, interface_version=0x34)


def to(number: str, **more: str | int | bytes) -> dict[str, str | int | bytes]:
    return {
        "source_addr": "10690001", "dest_addr_ton": 1, "dest_addr_npi": 1, "destination_addr": number,
        "registered_delivery": 1,
    } | more  # fmt: skip


def ucs2(written: str) -> bytes:
    return written.encode("utf-16-be")


def text_of(line: Line) -> str:
    """Of a deliver_sm that is no receipt, without its header."""
    octets = bytes.fromhex(line.get("message_payload") or line["short_message"])
    if int(line["esm_class"]) & 0x40:
        octets = octets[udh.parse(octets).length :]
    return octets.decode("utf-16-be") if line["data_coding"] == "8" else alphabets.decode(octets, Coding.GSM7)


def receipts(lines: list[Line]) -> dict[str, str]:
    """State words by message id."""
    found = {}
    for line in lines:
        said = re.match(rb"id:(\S+) .*stat:(\w+) ", bytes.fromhex(line["short_message"]))
        if said is not None and line["esm_class"] == "4":
            assert line.get("receipted_message_id", said[1].decode()) == said[1].decode()
            found[said[1].decode()] = said[2].decode()
    return found


@pytest.mark.parametrize("name", NAMES)
async def test_as_esme(name: str, here: PartnerSite, built: dict[str, Kind]) -> None:
    kind = built[name]
    mark = str(NAMES.index(name))
    number = {n: f"138{mark}000000{n}" for n in range(1, 7)}
    async with foreign(kind, "esme", here.smpp_port) as peer:
        assert (await bind(peer))["status"] == "0"
        ids = []

        async def submit(n: int, **fields: str | int | bytes) -> None:
            answer = await peer.ask("submit_sm", **to(f"86{number[n]}", **fields))
            assert answer["status"] == "0"
            ids.append(answer["message_id"])

        await submit(1, short_message=b"plain")
        await submit(2, short_message=ucs2("你好"), data_coding=8)
        for n, piece in enumerate(PIECES, 1):
            header = udh.concat8(7, len(PIECES), n)
            await submit(3, short_message=header + ucs2(piece), data_coding=8, esm_class=0x40)
            await submit(
                4, short_message=ucs2(piece), data_coding=8,
                sar_msg_ref_num=b"\0\7", sar_total_segments=bytes([len(PIECES)]), sar_segment_seqnum=bytes([n]),
            )  # fmt: skip
        if kind.payloads:
            await submit(5, message_payload=ucs2(LONG), data_coding=8)
        assert (await peer.ask("submit_sm", **to("12", short_message=b"to nobody")))["status"] == "11"
        no_text = await peer.ask("submit_sm", **to(f"86{number[6]}", short_message=b"x", data_coding=0x0D))
        assert no_text["status"] == str(0x45)
        wanted = dict.fromkeys(ids, "DELIVRD")
        await until(lambda: wanted.items() <= receipts(peer.heard("deliver_sm")).items(), what=f"receipts of {ids}")
        if kind.queries:
            known = await peer.ask("query_sm", message_id=ids[0], source_addr="10690001")
            assert (known["status"], known["message_id"], known["message_state"]) == ("0", ids[0], "2")
            strange = await peer.ask("query_sm", message_id=NO_SUCH_ID, source_addr="10690001")
            assert (strange["status"], strange["message_id"], strange["message_state"]) == ("12", NO_SUCH_ID, "7")
            refused = await peer.ask("data_sm", source_addr="10690001", destination_addr="12", message_payload=b"x")
            assert (refused["status"], refused["message_id"]) == ("11", "")
            assert (await peer.ask("enquire_link"))["status"] == "0"
        before = len(peer.heard("deliver_sm"))
        here.site.carriers["cmpp30"].send_mo(number[1], "10690001", "short reply")
        here.site.carriers["cmpp30"].send_mo(number[1], "10690001", LONG)
        replies = (await peer.until("deliver_sm", before + 1 + len(PIECES)))[before:]
        assert sorted(text_of(r) for r in replies if not int(r["esm_class"])) == ["short reply"]
        parts = [r for r in replies if int(r["esm_class"])]
        parts.sort(key=lambda r: r["short_message"][:12])  # by their headers; smpp34 gives them in any order
        assert "".join(map(text_of, parts)) == LONG
        assert {r["source_addr"] for r in replies} == {f"86{number[1]}"}
        assert (await peer.ask("unbind"))["status"] == "0"
        await peer.until("closed")
    texts = {1: "plain", 2: "你好", 3: LONG, 4: LONG} | ({5: LONG} if kind.payloads else {})
    assert {n: here.arrived()[number[n]] for n in texts} == texts
    assert peer.heard("error") == []


@pytest.mark.parametrize("name", NAMES)
async def test_as_esme_by_two_binds(name: str, here: PartnerSite, built: dict[str, Kind]) -> None:
    async with (
        foreign(built[name], "esme", here.smpp_port) as sender,
        foreign(built[name], "esme", here.smpp_port) as receiver,
    ):
        assert (await bind(sender, "transmitter"))["status"] == "0"
        assert (await bind(receiver, "receiver"))["status"] == "0"
        answer = await sender.ask("submit_sm", **to("8613880000001", short_message=b"by two"))
        await until(lambda: answer["message_id"] in receipts(receiver.heard("deliver_sm")), what="its receipt")
        assert sender.heard("deliver_sm") == []


@pytest.mark.parametrize("name", NAMES)
async def test_as_esme_against_the_rules(name: str, here: PartnerSite, built: dict[str, Kind]) -> None:
    async with (
        foreign(built[name], "esme", here.smpp_port) as peer,
        foreign(built[name], "esme", here.smpp_port) as other,
    ):
        # smpp34 tells of no status of a bind; it has none when its time is over.
        refused = "bind_timed_out" if name == "smpp34" else "14"
        assert (await bind(peer, password="wrong"))["status"] == refused
        assert (await bind(other, user=NARROW))["status"] == "0"
        for n in range(BURST):
            other.tell("submit_sm", **to(f"86138700000{n:02}", short_message=b"many", registered_delivery=0))
        answers = await other.until("submit_sm_resp", BURST)
        assert {a["status"] for a in answers} == {"0", str(0x58)}
        assert peer.heard("error") + other.heard("error") == []


@pytest.mark.parametrize("name", NAMES)
async def test_as_smsc(name: str, here: PartnerSite, built: dict[str, Kind]) -> None:
    channel = f"foreign-{NAMES.index(name)}"
    gateway, customer = here.site, here.site.customer
    async with foreign(built[name], "smsc") as smsc:
        port = smsc.heard("listening")[0]["port"]
        how = {"protocol": "smpp34", "user": "esme-7", "password": PASSWORD}
        code = ("--access-code", "10690003")
        await gateway.node.add_channel(channel, int(port), *code, profile={"keepalive": 1}, **how)
        try:
            await gateway.bound(channel)
            for text in ("plain", LONG):
                before = len(smsc.heard("submit_sm"))
                sent = await customer.send("smpp34", text)
                parts = (await smsc.until("submit_sm", before + sent.parts))[before:]
                octets = [bytes.fromhex(part["short_message"]) for part in parts]
                assert len(parts) == sent.parts
                if text == LONG:
                    octets = sorted(octets)  # their headers count up
                    assert b"".join(o[6:] for o in octets).decode("utf-16-be") == LONG
                else:
                    assert octets == [b"plain"]
                await customer.reaches(sent.message_id, "submitted")
                prefix = {"Net::SMPP": "net", "libsmpp34": "lib", "smpp.pdu3": "pdu", "smpp34": "rust"}[name]
                for n, part in enumerate(parts, before + 1):
                    written = f"id:{prefix}-{n} sub:001 dlvrd:001 submit date:2611241201 done date:2611241202 "
                    await smsc.ask(
                        "deliver_sm", source_addr=part["destination_addr"], destination_addr="10690003", esm_class=4,
                        short_message=f"{written}stat:DELIVRD err:000 text:any".encode(),
                    )  # fmt: skip
                await customer.reaches(sent.message_id, "delivered")
            smsc.tell("refuse", status=0x0B)
            await smsc.until("refusing")
            refused = await customer.send("smpp34", "to nobody")
            assert (await customer.reaches(refused.message_id, "failed"))["carrier_code"] == "0x0000000b"
            reply = await smsc.ask(
                "deliver_sm", source_addr="8613300000009", destination_addr="10690003", data_coding=8,
                short_message=ucs2("回复"),
            )  # fmt: skip
            assert reply["status"] == "0"
            if name != "smpp34":  # which keeps it to itself
                await smsc.until("enquire_link")
        finally:
            await gateway.node.ctl("channel", "remove", channel)
        await smsc.until("unbind")
        assert smsc.heard("error") == []


async def test_octets_as_php_smpp_sends_them(here: PartnerSite) -> None:
    """Not the library, which is on none of our registries: our own octets after its description (php_smpp.py)."""
    peer = await PhpSmpp.connect(here.smpp_port, "shop", PASSWORD)
    await peer.send("8613890000001", b"with a NUL")
    await peer.send("8613890000002", LONG.encode("utf-16-be"), data_coding=8)
    await peer.send("8613890000003", LONG.encode("utf-16-be"), data_coding=8, method="payload")
    await peer.close()
    texts = {"13890000001": "with a NUL", "13890000002": LONG, "13890000003": LONG}
    await until(lambda: {n: here.arrived().get(n) for n in texts} == texts, what="all texts, and no NUL")
