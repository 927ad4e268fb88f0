"""Bodies: who sends one is known before it is read, and nobody's bodies keep others from theirs."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import statistics
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from api_server import BASE, Answer, Api, running
from changes import by_test
from harness import until

from smsgw.core.errors import Temporary
from smsgw.core.model import Account, MessageType, Origin
from smsgw.pipeline.accept.acceptor import SendItem, SendRequest
from smsgw.platform.accounts import service as accounts
from smsgw.platform.files.service import OWN_INCOMING
from smsgw.platform.keys import service as keys
from smsgw.platform.keys.model import NewKey
from smsgw.runtime import aio
from smsgw.runtime.pace import MAX_PAYING
from smsgw.web import listening
from smsgw.web.bodies import Bodies

FORM = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n%b\r\n--b--\r\n'
TABLE = FORM % b"13800000001\n13800000002\n"
ONE = json.dumps({"to": ["13800000001"], "content": "你好"}).encode()
MULTIPART = {"Content-Type": "multipart/form-data; boundary=b"}
Pair = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def stranger(api: Api) -> NewKey:
    account = await accounts.add(by_test(api.ctx.db), "other", default_sign="测试")
    await accounts.top_up(by_test(api.ctx.db, api.ctx.ids), account, 1_000_000, "")
    return await api.add_key(account)


def hashed(api: Api, path: str, body: bytes, **how: Any) -> dict[str, str]:
    return {**api.signed("POST", BASE + path, body, **how), "X-Sms-Content-SHA256": hashlib.sha256(body).hexdigest()}


@contextlib.asynccontextmanager
async def connected(api: Api) -> AsyncIterator[Pair]:
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


def head(path: str, length: int, headers: dict[str, str]) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST {BASE}{path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n{lines}\r\n".encode()


async def answer(reader: asyncio.StreamReader, within: float = 5) -> tuple[int, dict[str, Any]]:
    """Status and envelope of an answer that comes before its request is complete, too."""
    async with asyncio.timeout(within):
        start = await reader.readuntil(b"\r\n\r\n")
        length = next(line for line in start.split(b"\r\n") if line.lower().startswith(b"content-length:"))
        return int(start.split()[1]), json.loads(await reader.readexactly(int(length.split(b":")[1])))


async def upload(api: Api, body: bytes = TABLE, **how: Any) -> Answer:
    return await api.send("POST", f"{BASE}/files", data=body, headers=hashed(api, "/files", body, **how) | MULTIPART)


@pytest.mark.parametrize("path", ["/files", "/messages"])
async def test_a_wrong_signature_is_refused_before_the_body(api: Api, path: str) -> None:
    headers = hashed(api, path, b"x" * 1_000_000, secret="wrong") | MULTIPART
    async with connected(api) as (reader, writer):
        writer.write(head(path, 1_000_000, headers))
        status, told = await answer(reader)
    assert (status, told["code"]) == (401, "AUTH_SIGNATURE_INVALID")
    async with connected(api) as (reader, writer):
        writer.write(head(path, 1_000_000, {}))
        assert (await answer(reader))[1]["code"] == "AUTH_MISSING"


async def test_an_upload_has_to_tell_its_hash(api: Api) -> None:
    headers = api.signed("POST", f"{BASE}/files", TABLE) | MULTIPART
    async with connected(api) as (reader, writer):
        writer.write(head("/files", 1_000_000, headers))
        status, told = await answer(reader)
    assert (status, told["code"], told["data"]["field"]) == (400, "PARAM_MISSING", "X-Sms-Content-SHA256")
    bearer = {"Authorization": f"Bearer {api.key.bearer}"}
    assert (await api.send("POST", f"{BASE}/files", data=TABLE, headers=bearer | MULTIPART)).status == 201


async def test_a_body_other_than_the_signed_one_is_thrown_away(api: Api, tmp_path: Path) -> None:
    for path, body in (("/files", TABLE), ("/messages", ONE)):
        headers = hashed(api, path, body) | MULTIPART
        other = body.replace(b"13800000001", b"13900000001")
        got = await api.send("POST", BASE + path, data=other, headers=headers)
        assert (got.status, got.code, got.data["field"]) == (400, "PARAM_INVALID", "X-Sms-Content-SHA256")
        replayed = await api.send("POST", BASE + path, data=body, headers=headers)
        assert replayed.code == "AUTH_NONCE_REPLAYED"
    assert list((tmp_path / "files").iterdir()) == []
    assert (await upload(api)).status == 201
    signed = await api.send("POST", f"{BASE}/messages", data=ONE, headers=hashed(api, "/messages", ONE))
    assert signed.status == 202
    headers = api.signed("POST", f"{BASE}/messages", ONE)
    without = await api.send("POST", f"{BASE}/messages", data=ONE, headers=headers)
    assert without.status == 202, "what is small may be proven by itself"


async def test_trickling_uploads_keep_nobody_from_his(api: Api) -> None:
    slow = await stranger(api)
    async with contextlib.AsyncExitStack() as stack:
        for n in range(12):
            body = b"%d" % n + TABLE.ljust(1_000_000)
            _, writer = await stack.enter_async_context(connected(api))
            writer.write(head("/files", len(body), hashed(api, "/files", body, key=slow) | MULTIPART) + body[:100])
        await until(lambda: len(api.ctx.tasks.files.store._arriving) == OWN_INCOMING)
        answers = await asyncio.gather(*(upload(api) for _ in range(4)))
        assert [a.status for a in answers] == [201] * 4, answers


async def test_what_trickles_is_cut_off(api: Api, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(listening, "GRACE", 0.5)
    monkeypatch.setattr(listening, "SLOWEST", 400)

    async def paced(path: str, body: bytes, size: int) -> tuple[int, float]:
        began = time.monotonic()
        async with connected(api) as (reader, writer):
            writer.write(head(path, len(body), hashed(api, path, body) | MULTIPART))
            asked = aio.spawn(answer(reader, 20), name="answer")
            for at in range(0, len(body), size):
                if asked.done():
                    break
                writer.write(body[at : at + size])
                await asyncio.sleep(0.1)
            return (await asked)[0], time.monotonic() - began

    for path, body, good in (("/files", FORM % b"13800000001\n".ljust(6000), 201), ("/messages", ONE.ljust(6000), 202)):
        status, _ = await paced(path, body, 10)  # 100 octets a second
        assert status == 408
        status, seconds = await paced(path, body, 400)
        assert (status, seconds > 1.2) == (good, True)
    assert not list((tmp_path / "files").glob("*.part"))


async def test_the_disk_is_promised_once(api: Api) -> None:
    store = api.ctx.tasks.files.store
    store._room = 10_000_000
    async with connected(api) as (_, writer):
        body = TABLE.ljust(4_000_000)
        writer.write(head("/files", len(body), hashed(api, "/files", body) | MULTIPART) + body[:100])
        await until(lambda: [one.path.exists() for one in store._arriving.values()] == [True])
        assert [one.room for one in store._arriving.values()] == [len(body)]
        got = await upload(api, FORM % (b"13800000001\n" * 170_000))
        assert got.code == "STORAGE_UNAVAILABLE", "half of the room is all that one account may have"
        assert (await upload(api, key=await stranger(api))).status == 201
    await until(lambda: not store._arriving)
    assert (await upload(api, FORM % (b"13800000001\n" * 170_000))).status == 201


async def test_a_body_of_unknown_size_is_kept_within_the_room(api: Api) -> None:
    api.ctx.tasks.files.store._room = 4_000_000

    async def endless() -> AsyncIterator[bytes]:
        yield TABLE[:80]
        for _ in range(100):
            yield b"1" * 65536

    bearer = {"Authorization": f"Bearer {api.key.bearer}"} | MULTIPART
    async with api.session.post(f"{api.origin}{BASE}/files", data=endless(), headers=bearer) as got:
        assert (await got.json())["code"] == "STORAGE_UNAVAILABLE"


async def test_what_a_killed_process_left_is_removed(api: Api, tmp_path: Path) -> None:
    files = api.ctx.tasks.files
    folder = tmp_path / "files"
    folder.mkdir()
    left = [folder / f"{api.ctx.ids()}{end}" for end in (".part", ".file")]
    for path in left:
        path.write_bytes(b"x")
    async with connected(api) as (_, writer):
        writer.write(head("/files", 1000, hashed(api, "/files", b"x" * 1000) | MULTIPART) + b"--b\r\n")
        await until(lambda: len(list(folder.iterdir())) == 3)
        await files.sweep()
        (arriving,) = files.store._arriving.values()
        assert list(folder.iterdir()) == [arriving.path], "what arrives is left alone"


async def test_bodies_of_one_account_leave_memory_to_others(dsn: str, tmp_path: Path) -> None:
    bodies = Bodies(16 << 20)
    async with running(dsn, tmp_path, bodies=bodies) as api, contextlib.AsyncExitStack() as stack:
        slow = await stranger(api)
        for n in range(40):
            body = b"%d" % n + b" " * 1_900_000
            _, writer = await stack.enter_async_context(connected(api))
            writer.write(head("/messages", len(body), hashed(api, "/messages", body, key=slow)) + body[:1000])
        await until(lambda: bodies.proven.taken)
        assert bodies.proven.taken <= 2 << 20
        large = ONE.ljust(1_000_000)
        for _ in range(3):
            got = await api.send("POST", f"{BASE}/messages", data=large, headers=hashed(api, "/messages", large))
            assert got.status == 202
    await until(lambda: not bodies.proven.taken)


async def test_who_has_not_proven_himself_holds_next_to_nothing(dsn: str, tmp_path: Path) -> None:
    """Signed without the body's hash: the body is the proof, and until then its room is that of its address."""
    bodies = Bodies(16 << 20)
    async with running(dsn, tmp_path, bodies=bodies) as api, contextlib.AsyncExitStack() as stack:
        for _ in range(40):
            headers = api.signed("POST", f"{BASE}/messages", b"?")
            _, writer = await stack.enter_async_context(connected(api))
            writer.write(head("/messages", 1_900_000, headers) + b"x" * 1000)
        await until(lambda: bodies.strangers.taken)
        assert (bodies.strangers.taken <= 2 << 20, bodies.proven.taken) == (True, 0)
        headers = api.signed("POST", f"{BASE}/messages", ONE)
        small = await api.send("POST", f"{BASE}/messages", data=ONE, headers=headers)
        assert small.status == 202, "what came with its headers waits for nobody"
        reader, writer = await stack.enter_async_context(connected(api))
        writer.write(head("/messages", len(ONE), api.signed("POST", f"{BASE}/messages", ONE)))
        await asyncio.sleep(0.1)  # as many clients do: the headers, and then the body
        writer.write(ONE)
        assert (await answer(reader))[0] == 202, "nor does what comes a moment later"
        large = ONE.ljust(1_000_000)
        got = await api.send("POST", f"{BASE}/messages", data=large, headers=hashed(api, "/messages", large))
        assert got.status == 202
    await until(lambda: not bodies.strangers.taken)


async def test_of_how_fast_strangers_send_so_much_is_remembered_and_no_more() -> None:
    bodies = Bodies(16 << 20)
    for n in range(MAX_PAYING + 100):
        await bodies.pace.pay(f"2001:db8:{n:x}::/64", 100)
    assert len(bodies.pace) <= MAX_PAYING


@pytest.mark.parametrize("told", [False, True])
async def test_who_is_stopped_while_a_body_is_on_its_way_sends_nothing(api: Api, told: bool) -> None:
    db, path = api.ctx.db, "/messages"
    for stop, code in (
        (accounts.set_status(by_test(db), api.account_id, "stopped"), "ACCOUNT_STOPPED"),
        (keys.edit(by_test(db), api.key.key_id, {"scopes": ("query",)}), "SCOPE_DENIED"),
        (keys.edit(by_test(db), api.key.key_id, {"status": "stopped"}), "AUTH_KEY_INVALID"),
    ):
        await accounts.set_status(by_test(db), api.account_id, "active")
        await keys.edit(by_test(db), api.key.key_id, {"scopes": ("send",)})
        await api.ctx.snapshots.follow()
        body = ONE.ljust(100_000)
        headers = hashed(api, path, body) if told else api.signed("POST", BASE + path, body)
        async with connected(api) as (reader, writer):
            writer.write(head(path, len(body), headers) + body[:50_000])
            await until(lambda: api.ctx.bodies.strangers.taken + api.ctx.bodies.proven.taken)
            await stop
            await api.ctx.snapshots.follow()
            writer.write(body[50_000:])
            assert (await answer(reader))[1]["code"] == code
        await until(lambda: not api.ctx.bodies.strangers.taken + api.ctx.bodies.proven.taken)
    assert await db.fetchval("SELECT count(*) FROM message") == 0


async def test_the_flood_of_one_account_does_not_slow_another(api: Api) -> None:
    """Giant calls of one account, sent and explained without pause, beside single messages of another."""
    await stranger(api)
    snapshot = api.ctx.snapshots.current
    hostile, good = snapshot.account_by_name("other"), snapshot.account_by_name("acme")
    giant = tuple(SendItem(to=f"138{n:08d}", content=f"{n}" + "你好啊" * 150) for n in range(500))
    flooded: list[float] = []
    waits: list[float] = []
    refused: Counter[str] = Counter()
    over = False

    def request(account: Account, *items: SendItem) -> SendRequest:
        return SendRequest(account=account, items=items, type=MessageType.NOTICE, origin=Origin.API, submitter="test")

    async def flood(call: Callable[[SendRequest], Awaitable[object]]) -> None:
        while not over:
            began = time.monotonic()
            try:
                await call(request(hostile, *giant))
                flooded.append(time.monotonic() - began)
            except Temporary as exc:
                refused[exc.code] += 1
                await asyncio.sleep(0.01)

    acceptor = api.acceptor
    floods = [aio.spawn(flood(call), name="flood") for call in (*[acceptor.explain] * 6, acceptor.send)]
    await until(lambda: len(flooded) >= 3)
    for n in range(20):
        began = time.monotonic()
        result = await acceptor.send(request(good, SendItem(to=f"139{n:08d}", content=f"您好{n}")))
        waits.append(time.monotonic() - began)
        assert result.accepted == 1
    over = True
    await asyncio.gather(*floods)
    assert refused.keys() <= {"RATE_LIMITED", "BACKPRESSURE"}
    mine, its = statistics.median(waits), statistics.median(flooded)
    assert mine < its / 4, f"{mine:.3f} s for a message, {its:.3f} s for a giant: it waits for turns, not for giants"
