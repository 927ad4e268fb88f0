"""Two CMPP clients that we did not write: pycmpp speaks 2.0 (and says 0x21), cmppy speaks 3.0."""

from __future__ import annotations

import asyncio
import hashlib
import struct
from typing import Any

import cmppy
import pycmpp
import pytest
from cmppy.request import ConnectReq, SubmitReq
from cmppy.response import parse_response
from pycmpp import cmpp_defines
from pycmpp.request import ActiveTestRequestInstance
from pycmpp.response import ConnectResponseInstance, SubmitResponseInstance

from smsgw.simulator import Behaviour, Carrier, CarrierConfig, Delay, Rule

USER, PASSWORD = "300250", "secret"
LONG = "【测试】" + "超长短信" * 40


@pytest.fixture
def config() -> CarrierConfig:
    # Both peers read from the socket as if one read were one PDU, so nothing may follow their answers closely.
    behaviour = Behaviour(report_delay=Delay.fixed(60), rules=(Rule(suffix="0008", answer=8),))
    return CarrierConfig(protocol="cmpp", users={USER: PASSWORD}, behaviour=behaviour)


class Pycmpp:
    """pycmpp without its reading thread, which cannot be ended; its own classes read the answers."""

    def __init__(self, port: int, password: str = PASSWORD, user: str = USER) -> None:
        self.peer = pycmpp.Cmpp("127.0.0.1", port, user, password, "10690001", delivery=1)
        self.peer.so.settimeout(5)
        self.peer.send = self._send
        self.sent: list[bytes] = []

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

    @property
    def authenticator(self) -> bytes:
        """What it has logged in with."""
        return self.sent[0][12 + 6 : 12 + 6 + 16]

    def _send(self, message: bytes) -> None:
        self.sent.append(message)
        self.peer.so.sendall(message)

    def login(self) -> ConnectResponseInstance:
        self.peer.connect()
        self.peer.auth()
        answer = ConnectResponseInstance()
        answer.resolve(self.receive())
        return answer

    def answers(self, n: int) -> list[SubmitResponseInstance]:
        found = []
        for _ in range(n):
            answer = SubmitResponseInstance()
            answer.resolve(self.receive())
            assert answer.command_id == cmpp_defines.CMPP_SUBMIT_RESP
            found.append(answer)
        return found


async def test_pycmpp_speaks_2_0(config: CarrierConfig) -> None:
    def talk(port: int) -> list[SubmitResponseInstance]:
        client = Pycmpp(port)
        login = client.login()
        assert (login.status, login.version) == (0, 0x21)
        proof = hashlib.md5(b"\0" + client.authenticator + PASSWORD.encode())  # noqa: S324  CMPP says MD5
        assert login.authenticator_ISMG == proof.digest()
        client.peer.send(ActiveTestRequestInstance().create())
        assert struct.unpack("!L", client.receive()[4:8])[0] == cmpp_defines.CMPP_ACTIVE_TEST_RESP
        client.peer.submit("你好😀", ["13800138000"])
        client.peer.submit("群发", ["13800138001", "13800138002"])
        client.peer.submit(LONG, ["13800138003"])
        client.peer.submit("流控", ["13800130008"])
        answers = client.answers(6)
        client.peer.terminate()
        assert struct.unpack("!L", client.receive()[4:8])[0] == cmpp_defines.CMPP_TERMINATE_RESP
        client.peer.close()
        return answers

    async with Carrier(config) as carrier:
        answers = await asyncio.to_thread(talk, carrier.port)
    assert [answer.status for answer in answers] == [0, 0, 0, 0, 0, 8]
    assert len({answer.msg_id for answer in answers[:5]}) == 5
    assert carrier.receptions == {
        ("13800138000", "你好😀"): 1,
        ("13800138001", "群发"): 1,
        ("13800138002", "群发"): 1,
        ("13800138003", LONG): 1,
    }
    assert carrier.messages[-1].parts == 3
    assert carrier.counts.violations == {}


async def test_pycmpp_with_a_wrong_password(config: CarrierConfig) -> None:
    def talk(port: int) -> Any:
        client = Pycmpp(port, "wrong")
        answer = client.login()
        client.peer.close()
        return answer.status

    async with Carrier(config) as carrier:
        assert await asyncio.to_thread(talk, carrier.port) == 3


async def test_cmppy_speaks_3_0(config: CarrierConfig) -> None:
    def talk(port: int) -> list[Any]:
        # one connection each: connect, submit, terminate
        requests = (
            SubmitReq(USER, "你好", dest_terminal_id=["8613800138000"], registered_delivery=1),
            SubmitReq(USER, "群发", dest_terminal_id=["8613800138001", "8613800138002"]),
            SubmitReq(USER, "流控", dest_terminal_id=["8613800130008"]),
        )
        return [cmppy.Cmppy("127.0.0.1", port, USER, PASSWORD).request(request) for request in requests]

    async with Carrier(config) as carrier:
        answers = await asyncio.to_thread(talk, carrier.port)
    assert [answer.result for answer in answers] == [0, 0, 8]
    assert answers[0].msg_id != answers[1].msg_id
    assert carrier.receptions == {
        ("8613800138000", "你好"): 1,
        ("8613800138001", "群发"): 1,
        ("8613800138002", "群发"): 1,
    }
    assert {m.source for m in carrier.messages} == {"1064899103013"}
    assert (carrier.counts.logins, carrier.counts.violations) == (3, {})


async def test_cmppy_sends_a_long_text(config: CarrierConfig) -> None:
    """It has no long texts of its own, but takes the header's octets as three characters."""
    header = "\u0500\u03a7"
    parts = [header + "\u0201" + "前" * 66, header + "\u0202" + "后" * 9]
    requests = [
        SubmitReq(USER, part, dest_terminal_id=["8613800138000"], pk_total=2, pk_number=n, tp_udhi=1)
        for n, part in enumerate(parts, 1)
    ]

    def talk(port: int) -> list[int]:
        return [cmppy.Cmppy("127.0.0.1", port, USER, PASSWORD).request(r).result for r in reversed(requests)]

    async with Carrier(config) as carrier:
        assert await asyncio.to_thread(talk, carrier.port) == [0, 0]
    assert carrier.receptions == {("8613800138000", "前" * 66 + "后" * 9): 1}
    assert carrier.counts.violations == {}


async def test_cmppy_gets_the_gateways_proof(config: CarrierConfig) -> None:
    """The specification's check of AuthenticatorISMG, which the package itself leaves undone."""

    def talk(port: int) -> tuple[ConnectReq, Any]:
        client = cmppy.Cmppy("127.0.0.1", port, USER, PASSWORD)
        request = ConnectReq(USER, PASSWORD)
        client._connect()
        client._write(request.message)
        answer = parse_response(client._read())
        client._terminate()
        return request, answer

    async with Carrier(config) as carrier:
        request, answer = await asyncio.to_thread(talk, carrier.port)
    assert (answer.status, answer.version, answer.sequence) == (0, 0x30, request.sequence)
    proof = hashlib.md5(answer.raw_status + request.authenticator_source + PASSWORD.encode())  # noqa: S324
    assert answer.authenticator_ISMG == proof.digest()


async def test_cmppy_with_a_wrong_password(config: CarrierConfig) -> None:
    def talk(port: int) -> Any:
        request = SubmitReq(USER, "你好", dest_terminal_id=["8613800138000"])
        return cmppy.Cmppy("127.0.0.1", port, USER, "wrong").request(request)

    async with Carrier(config) as carrier:
        assert await asyncio.to_thread(talk, carrier.port) is None
        assert carrier.counts.logins_refused == 1
