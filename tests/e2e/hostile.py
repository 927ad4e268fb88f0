"""A tenant that does all it can to be in the way, beside one that only wants its messages taken: used by a test for
seconds, and for five minutes by ``scripts/trials --only hostile``.

The hostile one is a process of its own (run as a program), with a key and a partner's login of its own, and comes from
addresses of its own. Everything it does is bounded: so many at once of each kind, for so many seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import io
import itertools
import json
import secrets
import subprocess
import sys
import time
import zipfile
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any

import aiohttp
import xlsxwriter
from measures import memory, percentile, quantiles

from smsgw.admin.security import masked
from smsgw.runtime import aio

if TYPE_CHECKING:
    from harness import Site
    from partner_client import PartnerSite

BASE = "/api/v1"
Figures = dict[str, object]
ADDRESSES = [f"127.0.9.{n}" for n in range(1, 21)]
BOUNDARY = "b" * 60
FORM = f"multipart/form-data; boundary={BOUNDARY}"
PART = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'
GIANT = 64 * 1024 * 1024
"""Octets of an upload that is sent as fast as it goes."""


# --- the hostile one -------------------------------------------------------------------------------------------------


class Hostile:
    """``plan`` is what ``begin`` gives: where the node is, and the keys."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self.host, _, port = str(plan["http"]).removeprefix("http://").rpartition(":")
        self.port = int(port)
        self.smpp, self.cmpp = int(plan["smpp"]), int(plan["cmpp"])
        self.key: dict[str, str] = plan["key"]
        self.until = time.monotonic() + float(plan["seconds"])
        self.answers: Counter[str] = Counter()
        self._addresses = itertools.cycle(ADDRESSES)
        self._sessions: dict[str, aiohttp.ClientSession] = {}

    async def run(self) -> None:
        """All kinds at once, each so many times."""
        kinds: dict[Callable[[], Awaitable[None]], int] = {
            self.flood: 20, self.batches_of_braces: 4, self.slow_bodies: 40, self.slow_uploads: 12,
            self.giant_uploads: 2, self.giant_unsigned: 2, self.bombs_in_sheets: 1, self.wrong_keys: 4,
            self.wrong_logins: 8, self.slow_logins: 40, self.refused_binds: 8, self.braces_by_smpp: 2,
            self.broken_pdus: 4, self.broken_requests: 4, self.broken_multipart: 2, self.deep_json: 2,
            self.silent_connections: 40, self.templates: 1, self.queries: 4,
        }  # fmt: skip
        try:
            async with asyncio.timeout_at(asyncio.get_running_loop().time() + self.until - time.monotonic()):
                await asyncio.gather(*(self._again(kind) for kind, n in kinds.items() for _ in range(n)))
        except TimeoutError:
            pass
        finally:
            await asyncio.gather(*(session.close() for session in self._sessions.values()))

    async def _again(self, kind: Callable[[], Awaitable[None]]) -> None:
        name = kind.__name__
        while time.monotonic() < self.until:
            try:
                await kind()
            except (OSError, aiohttp.ClientError, TimeoutError, asyncio.IncompleteReadError) as exc:
                self.answers[f"{name}: {type(exc).__name__}"] += 1
                await asyncio.sleep(0.2)

    # --- ways to speak -------------------------------------------------------------------------------------------

    async def _http(self, name: str, method: str, path: str, *, by: str = "", **how: Any) -> None:
        by = by or next(self._addresses)
        if by not in self._sessions:
            connector = aiohttp.TCPConnector(limit=100, local_addr=(by, 0))
            self._sessions[by] = aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=60))
        url = f"http://{self.host}:{self.port}{path}"
        async with self._sessions[by].request(method, url, allow_redirects=False, **how) as answer:
            await answer.read()
            self.answers[f"{name}: {answer.status}"] += 1
            if answer.status in (429, 503):  # even it does not want to be a busy loop
                await asyncio.sleep(0.05)

    @property
    def _bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key['bearer']}"}

    def _signed(self, path: str, digest: str) -> dict[str, str]:
        stamp, nonce = str(int(time.time())), secrets.token_hex(16)
        text = "\n".join(["POST", path, "", stamp, nonce, digest])
        mac = hmac.new(self.key["secret"].encode(), text.encode(), hashlib.sha256).hexdigest()
        return {
            "X-Sms-Key": self.key["key_id"], "X-Sms-Timestamp": stamp, "X-Sms-Nonce": nonce,
            "X-Sms-Signature": f"v1={mac}",
        }  # fmt: skip

    @contextlib.asynccontextmanager
    async def _raw(self, port: int = 0) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        async with asyncio.timeout(10):
            reader, writer = await asyncio.open_connection(
                self.host, port or self.port, local_addr=(next(self._addresses), 0)
            )
        try:
            yield reader, writer
        finally:
            writer.transport.abort()

    async def _trickle(self, name: str, head: bytes, piece: bytes = b" ", every: float = 1.0) -> None:
        """Open, say the head, then a piece a second until somebody has had enough."""
        async with self._raw() as (reader, writer):
            writer.write(head)
            ended = aio.spawn(reader.read(200), name="trickle")
            try:
                while not ended.done() and time.monotonic() < self.until:
                    writer.write(piece)
                    await asyncio.wait([ended], timeout=every)
            finally:
                ended.cancel()
            self.answers[f"{name}: {'cut off' if ended.done() else 'held'}"] += 1

    # --- floods --------------------------------------------------------------------------------------------------

    async def flood(self) -> None:
        """Good calls, more than it may make."""
        body = {"to": ["13800990001"], "content": secrets.token_hex(8)}
        await self._http("flood", "POST", f"{BASE}/messages", json=body, headers=self._bearer)

    async def batches_of_braces(self) -> None:
        """As large as a batch may be, and nothing but what a variable begins with."""
        mark = secrets.token_hex(6)
        items = [{"to": f"138{secrets.randbelow(10**8):08}", "content": "{" * 880 + f"{mark}{n}"} for n in range(1000)]
        await self._http("braces", "POST", f"{BASE}/messages/batch", json={"items": items}, headers=self._bearer)

    async def deep_json(self) -> None:
        """NumberLists in lists."""
        headers = self._bearer | {"Content-Type": "application/json"}
        await self._http("deep", "POST", f"{BASE}/messages", data=b"[" * 900_000, headers=headers)

    async def queries(self) -> None:
        """Long ones, and wide ones over everything it has."""
        query = ("?limit=500", f"?to=13800990001&client_ref={'x' * 6000}", "?from_time=" + "9" * 4000)
        await self._http("query", "GET", f"{BASE}/messages{secrets.choice(query)}", headers=self._bearer)

    async def templates(self) -> None:
        """Templates whose pieces are found everywhere."""
        body = {"name": secrets.token_hex(4), "content": "尊敬的" + "{a},{b},{c},{d},{e},{f}"}
        await self._http("template", "POST", f"{BASE}/templates", json=body, headers=self._bearer)
        body = {"to": ["13800990003"], "content": "尊敬的" + "," * 120 + secrets.token_hex(6)}
        await self._http("commas", "POST", f"{BASE}/messages", json=body, headers=self._bearer)
        await asyncio.sleep(0.2)

    # --- slow and large ones -------------------------------------------------------------------------------------

    async def slow_bodies(self) -> None:
        """A body of which an octet comes each second, by whom it may concern."""
        who = (f"Authorization: Bearer {self.key['bearer']}\r\n", "")[secrets.randbelow(2)]
        head = (
            f"POST {BASE}/messages HTTP/1.1\r\nHost: x\r\n{who}Content-Type: application/json\r\n"
            "Content-Length: 900000\r\n\r\n{"
        )
        await self._trickle("slow body", head.encode())

    async def slow_uploads(self) -> None:
        """The same as an upload."""
        head = (
            f"POST {BASE}/files HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {self.key['bearer']}\r\n"
            f"Content-Type: {FORM}\r\nContent-Length: 200000000\r\n\r\n{PART}phone\r\n"
        )
        await self._trickle("slow upload", head.encode(), b"1")

    async def slow_logins(self) -> None:
        """The same at the portal's door."""
        head = (
            "POST /login HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
            "Content-Length: 10000\r\n\r\nlogin=a"
        )
        await self._trickle("slow login", head.encode(), b"a")

    async def giant_uploads(self) -> None:
        """As fast as it goes, with a right key."""
        await self._giant("giant", self._bearer)

    async def giant_unsigned(self) -> None:
        """And with a signature that is of something else."""
        digest = "0" * 64
        await self._giant("giant, not signed", self._signed(f"{BASE}/files", digest) | {"X-Sms-Content-SHA256": digest})

    async def _giant(self, name: str, who: dict[str, str]) -> None:
        async def octets() -> AsyncIterator[bytes]:
            yield PART.encode()
            line = b"13800990004,x\r\n" * 4096
            for _ in range(GIANT // len(line)):
                yield line
            yield f"\r\n--{BOUNDARY}--\r\n".encode()

        headers = who | {"Content-Type": FORM}
        await self._http(name, "POST", f"{BASE}/files", data=octets(), headers=headers)
        await asyncio.sleep(0.5)

    async def bombs_in_sheets(self) -> None:
        """A sheet of a few kilobytes that is large when it is unpacked."""
        body = PART.replace("a.csv", "bomb.xlsx").encode() + bomb() + f"\r\n--{BOUNDARY}--\r\n".encode()
        headers = self._bearer | {"Content-Type": FORM}
        await self._http("bomb", "POST", f"{BASE}/files", data=body, headers=headers)
        await asyncio.sleep(1)

    async def broken_multipart(self) -> None:
        """Headers without end, and boundaries that are nearly there."""
        part = PART.removesuffix("\r\n")
        kinds = (
            part + "X: " + "a\t" * 40_000 + "\r\n\r\n1\r\n",
            part + "\r\n" + f"\r\n--{'b' * 59}" * 20_000,
            (part + "\r\n1\r\n") * 5_000,
        )
        headers = self._bearer | {"Content-Type": FORM}
        body = secrets.choice(kinds).encode()
        await self._http("multipart", "POST", f"{BASE}/files", data=body, headers=headers)

    # --- at the doors --------------------------------------------------------------------------------------------

    async def wrong_keys(self) -> None:
        """Keys nobody has, and signatures that are wrong."""
        for who in ({"Authorization": f"Bearer {secrets.token_hex(20)}"}, self._signed("/elsewhere", "0" * 64)):
            await self._http("wrong key", "POST", f"{BASE}/messages", json={}, headers=who)

    async def wrong_logins(self) -> None:
        """Passwords are guessed, of the administrator too."""
        visitor = secrets.token_urlsafe(24)  # the token of a visitor is whatever its cookie says
        form = {
            "login": secrets.choice(("admin", secrets.token_hex(3))),
            "password": secrets.token_hex(6),
            "csrf": masked(visitor),
        }
        await self._http("wrong login", "POST", "/login", data=form, headers={"Cookie": f"smsgw-visitor={visitor}"})

    async def refused_binds(self) -> None:
        """Wrong passwords at the servers for partners, over and over."""
        port, octets = secrets.choice(
            ((self.smpp, bind("rogue", "guess")), (self.cmpp, b"\0\0\0\x27\0\0\0\1" + b"\0" * 31))
        )
        async with self._raw(port) as (reader, writer), asyncio.timeout(30):
            writer.write(octets)
            answer = await reader.read(100)
            self.answers[f"bind: {'answered' if answer else 'closed'}"] += 1

    async def braces_by_smpp(self) -> None:
        """Messages of sixty thousand braces, by the login it has."""
        async with self._raw(self.smpp) as (reader, writer), asyncio.timeout(30):
            writer.write(bind("rogue", "secret12"))
            if not await reader.read(100):
                self.answers["braces by SMPP: not let in"] += 1
                return await asyncio.sleep(0.5)
            for sequence in range(2, 12):
                body = b"\0\0\0\0" + b"\1\1" + b"8613800990005\0" + b"\0\0\0\0\0\1\0\0\0\0"
                body += b"\x04\x24" + (60_000).to_bytes(2, "big") + b"{" * 60_000
                writer.write(pdu(4, sequence, body))
                command = b""
                while command != b"\x80\0\0\4":  # reports come between; nobody answers them
                    head = await reader.readexactly(16)
                    command = head[4:8]
                    await reader.readexactly(int.from_bytes(head[:4]) - 16)
                self.answers[f"braces by SMPP: {head[8:12].hex()}"] += 1

    async def broken_pdus(self) -> None:
        """Lengths that cannot be, and what is no PDU at all."""
        octets = secrets.choice(
            (b"\xff\xff\xff\xff", b"\0\0\0\0" * 4000, secrets.token_bytes(4000), b"\0\0\0\x10" * 4000)
        )
        async with self._raw(secrets.choice((self.smpp, self.cmpp))) as (reader, writer), asyncio.timeout(30):
            writer.write(octets)
            while await reader.read(1000):
                pass
            self.answers["broken PDU: closed"] += 1

    async def broken_requests(self) -> None:
        """What is no request, or has headers without end."""
        octets = secrets.choice((
            b"\0" * 1000, b"GET / HTTP/9.9\r\n\r\n", b"POST /api/v1/messages HTTP/1.1\r\n" + b"X: y\r\n" * 5000,
            b"GET /" + b"a" * 60_000 + b" HTTP/1.1\r\n\r\n", b"POST /login HTTP/1.1\r\nHost: x\r\n"
            b"Content-Type: a/b; charset=foo\r\nContent-Length: 2\r\n\r\n\xff\xff",
        ))  # fmt: skip
        async with self._raw() as (reader, writer), asyncio.timeout(30):
            writer.write(octets)
            answer = await reader.read(100)
            self.answers[f"broken request: {answer[9:12].decode('ascii', 'replace') or 'closed'}"] += 1

    async def silent_connections(self) -> None:
        """Those that say nothing."""
        port = secrets.choice((self.port, self.smpp, self.cmpp))
        async with self._raw(port) as (reader, _):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(20):
                    await reader.read(100)


def pdu(command: int, sequence: int, body: bytes) -> bytes:
    """An SMPP request."""
    return b"".join(n.to_bytes(4, "big") for n in (16 + len(body), command, 0, sequence)) + body


def bind(user: str, password: str) -> bytes:
    """An SMPP bind_transceiver."""
    return pdu(9, 1, user.encode() + b"\0" + password.encode() + b"\0" + b"\0\x34\0\0\0")


def bomb() -> bytes:
    """An XLSX whose only sheet is 300 MB of cells, packed to some hundred kilobytes."""
    plain, out, sheet = io.BytesIO(), io.BytesIO(), "xl/worksheets/sheet1.xml"
    with xlsxwriter.Workbook(plain) as workbook:
        workbook.add_worksheet("a")
    rows = (b'<row><c t="inlineStr"><is><t>%s</t></is></c></row>' % (b"A" * 200)) * 1000
    with zipfile.ZipFile(plain) as made, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name in made.namelist():
            if name != sheet:
                archive.writestr(name, made.read(name))
        with archive.open(sheet, "w") as file:
            file.write(b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>')
            for _ in range(1_100):
                file.write(rows)
            file.write(b"</sheetData></worksheet>")
    return out.getvalue()


AT_ONCE = {"bind", "broken PDU", "broken request", "query", "wrong key", "wrong login"}
IN_TIME = {
    "bomb", "braces", "braces by SMPP", "commas", "deep", "flood", "giant", "giant, not signed", "multipart",
    "slow body", "slow login", "slow upload", "template",
}  # fmt: skip
"""Of these the answer, or the end, takes its time."""
A_LONG_TIME = 120.0


# --- the good one ----------------------------------------------------------------------------------------------------


async def beside(here: PartnerSite, seconds: float, *, per_second: int = 200) -> Figures:
    """A good customer's calls beside the hostile one's, of which none may be refused; the caller judges the times."""
    from harness import until  # not in the process of the hostile one, which is to begin at once

    built, node = here.site, here.node
    await node.ctl("user", "add", "admin")  # without anybody there is no login to guess at
    await node.ctl("account", "add", "rogue", "--no-sign", "--balance", "30000", "--json")
    scopes = ("--scope", "send", "--scope", "query", "--scope", "template")
    key = (await node.ctl("key", "add", "rogue", *scopes, "--json")).data
    await node.ctl("partner", "add", "rogue", "--password", "secret12", "--protocol", "smpp", "--user", "rogue")
    alone = await good(built, min(seconds / 4, 20), per_second)
    plan = {"http": node.origin, "smpp": here.smpp_port, "cmpp": here.cmpp_port, "key": key, "seconds": seconds}
    attacker = await asyncio.to_thread(begin, plan)
    turns: list[float] = []
    watching = aio.spawn(watch(built, turns), name="watch")
    try:
        await asyncio.sleep(1)
        meanwhile = await good(built, seconds - 2, per_second)
        done, _ = await asyncio.to_thread(attacker.communicate, None, 60)
    finally:
        await aio.cancel(watching)
        if attacker.poll() is None:
            attacker.kill()
        attacker.wait(timeout=10)
    answers = dict(sorted(json.loads(done).items()))
    assert {"wrong login: 401", "wrong key: 401"} <= answers.keys(), "who guesses is turned away before it is looked at"
    made = {answer.rpartition(": ")[0] for answer in answers}
    assert made >= AT_ONCE | (IN_TIME if seconds >= A_LONG_TIME else set()), "an attack that did not take place"
    lost = [line for line in node.log_lines() if '"lease.lost"' in line or '"loop.stalled"' in line]
    assert not lost, lost[:5]
    assert not node.complaints(), node.complaints()[:5]
    await until(lambda: _is_ready(built), what="the node is well")
    return {
        "good calls alone": quantiles(alone),
        "good calls beside": quantiles(meanwhile),
        "p99 beside, ms": percentile(meanwhile, 0.99),
        "status calls beside": quantiles(turns),
        "daemon memory, MiB": memory(node.pid)[0],
        "log lines": len(node.log_lines()),
        "hostile": answers,
    }


async def _is_ready(built: Site) -> bool:
    return bool((await built.node.status())["ready"])


async def watch(built: Site, turns: list[float]) -> None:
    """How long the operator's own look takes."""
    while True:
        began = time.monotonic()
        await built.node.status()
        turns.append(time.monotonic() - began)
        await asyncio.sleep(0.5)


async def good(built: Site, seconds: float, per_second: int) -> list[float]:
    """Single posts at that rate; the seconds until each was accepted. None may be refused."""
    took: list[float] = []
    began = time.monotonic()

    async def post(n: int) -> None:
        await asyncio.sleep(began + n / per_second - time.monotonic())
        at = time.monotonic()
        await built.customer.send("cmpp30")
        took.append(time.monotonic() - at)

    await asyncio.gather(*(post(n) for n in range(int(seconds * per_second))))
    return took


def begin(plan: dict[str, Any]) -> subprocess.Popen[str]:
    """The hostile process. It is the machine of somebody else, so it gets no more of ours than is left over."""
    process = subprocess.Popen(
        ["nice", "-n", "19", sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps(plan) + "\n")
    process.stdin.flush()
    return process


def main() -> None:
    """The hostile process: its plan comes as a line, its counts go out as one."""
    hostile = Hostile(json.loads(sys.stdin.readline()))
    asyncio.run(hostile.run())
    print(json.dumps(hostile.answers))


if __name__ == "__main__":
    main()
