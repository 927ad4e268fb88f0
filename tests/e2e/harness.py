"""A whole gateway for tests: the daemon as a process, simulated carriers that outlive it, a customer, and the ledger.

The carriers run in the test's own event loop, so they remember what reached them however often the daemon dies.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import functools
import hashlib
import hmac
import itertools
import json
import os
import random
import re
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar
from unittest import mock

import aiohttp
import structlog
from changes import by_test
from click.testing import CliRunner
from databases import migrated

from smsgw.bench import outages
from smsgw.bench.outages import Intended
from smsgw.bench.processes import children
from smsgw.cli import main
from smsgw.core.signing import canonical_query
from smsgw.node import control_client
from smsgw.platform.policies.service import relax
from smsgw.runtime import clock, log
from smsgw.simulator import Behaviour, Carrier, CarrierConfig, Delay
from smsgw.store.engine.database import Database
from smsgw.store.engine.embedded import EmbeddedPostgres
from smsgw.store.engine.secrets import Sealer, load_key
from smsgw.store.records import audit

T = TypeVar("T")
ROOT = Path(__file__).resolve().parents[2]
BASE = "/api/v1"
USER, PASSWORD = "900001", "secret12"
MARK = re.compile("#t[0-9a-f]+#$")
"""At the end of the texts that ``Customer.text`` makes; no two are the same."""
PATIENCE = 60.0
"""Seconds for what comes by itself, on a machine with much else to do. Where it has come nobody waits for them."""

FINAL = {"delivered", "failed", "expired", "no_report", "unconfirmed", "rejected", "cancelled", "duplicate"}
WITHOUT_CARRIER = {"expired", "rejected", "cancelled"}
"""Finals that a message may have without ever having been taken by a carrier (``failed`` may, too)."""

CHANNELS = {
    # name and protocol: (simulator's protocol, carriers, access code, prefix of numbers that go there)
    "cmpp30": ("cmpp", "CMCC,CBN", "10690001", "1380"),
    "cmpp20": ("cmpp", "CUCC", "10690002", "1300"),
    "smpp34": ("smpp", "CTCC,INTL", "10690003", "1330"),
}
"""Those of a site that does not ask for others."""
PROTOCOLS = CHANNELS | {"sgip12": ("sgip", "CUCC", "10690004", "1300"), "smgp30": ("smgp", "CTCC", "10690005", "1330")}
SGIP_NODE = 3010012345
OPEN = {"webhooks_http": "true", "webhooks_networks": "127.0.0.0/8", "webhooks_ports": "1-65535"}
"""Settings that let webhooks lead to this machine."""


_ONE_COMMAND = threading.Lock()
"""A command in this process has the environment and standard output for itself."""
FAKETIME = next(iter(Path("/usr/lib").glob("*/faketime/libfaketime.so.1")), None)


def mark_of(content: str) -> str:
    """What ``Customer.text`` has put at its end."""
    found = MARK.search(content)
    assert found is not None
    return found[0]


class Wall:
    """A wall clock of a process's own (libfaketime), which can be set while it runs; all other clocks are true."""

    def __init__(self, path: Path, offset: str = "+0") -> None:
        self._path = path
        self.step(offset)

    def step(self, offset: str) -> None:
        """Set it: ``+1d`` is a day ahead of the truth, ``-2h`` two hours behind."""
        self._path.write_text(f"{offset}\n", "ascii")

    @property
    def environment(self) -> dict[str, str]:
        """For the process that shall have it."""
        return {
            "LD_PRELOAD": str(FAKETIME),
            "FAKETIME_TIMESTAMP_FILE": str(self._path),
            "FAKETIME_CACHE_DURATION": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }


def calendar(offset: str) -> dict[str, str]:
    """Environment of a process whose wall clock is ahead or behind by so much."""
    return {"LD_PRELOAD": str(FAKETIME), "FAKETIME": offset, "DONT_FAKE_MONOTONIC": "1"}


class TimeMachine(EmbeddedPostgres):
    """A server whose clock can be set from one start to the next."""

    offset = "+0d"

    def _identity(self) -> dict[str, object]:
        run = super()._identity()
        env: dict[str, str] = run["env"]  # type: ignore[assignment]
        return run | {"env": env | calendar(self.offset)}


async def until(
    probe: Callable[[], Awaitable[T] | T], *, within: float = PATIENCE, what: str = "", every: float = 0.05
) -> T:
    """Ask until the answer is true, and return it. Fails the test after ``within`` seconds."""
    deadline = time.monotonic() + within
    while True:
        found = probe()
        if isinstance(found, Awaitable):
            found = await found
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within} s: {what or probe}")
        await asyncio.sleep(every)


_intended: list[Intended] = []
"""Faults of daemons and databases that tests of this process have made."""


@contextlib.contextmanager
def intended() -> Iterator[None]:
    """Around a fault, until all works again: what it does to daemon or database is no outage by itself."""
    began = clock.now()
    try:
        yield
    finally:
        _intended.append(Intended(began, clock.now()))


def dice(seed: int | None = None) -> random.Random:
    """Chance with a seed, which is printed so that a failure can be repeated."""
    seed = secrets.randbits(32) if seed is None else seed
    print("seed", seed)
    return random.Random(seed)  # noqa: S311 - chance, not a secret


@dataclass
class Finished:
    """What a ``smsgwctl`` call has left."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        return json.loads(self.out)


class Unsettled(AssertionError):
    """Messages that have no end in time; ``left``: how many."""

    def __init__(self, left: int, text: str) -> None:
        super().__init__(text)
        self.left = left


def _log_aside(*_: object) -> None:
    """What a command logs in this process goes to standard error, as always: standard output is its result."""
    structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))


class Node:
    """One daemon: a data directory, its settings, and the process while there is one."""

    def __init__(self, data_dir: Path, *, dsn: str = "", **settings: str) -> None:
        """``settings`` are environment variables without ``SMSGW_``, in lower case."""
        self.data_dir = data_dir
        self.log_path = data_dir.with_name(data_dir.name + ".log")
        self.process: subprocess.Popen[bytes] | None = None
        self.starts = 0
        self.clock: dict[str, str] = {}
        """More environment: of a clock that goes wrong."""
        self.root = ROOT
        """The program that it runs."""
        self.prefix: list[str] = []
        """The command that it is run by: in which network."""
        # Each start takes the same port, as a real one would; what the kernel gives out others might have meanwhile.
        self._settings = {
            "NODE_DATA_DIR": str(data_dir),
            "DATABASE_DSN": dsn,
            "HTTP_LISTEN": f"127.0.0.1:{free_port()}",
            "OPS_LISTEN": "127.0.0.1:0",
            "HTTP_INSECURE_BEARER": "true",
            "DURABILITY_MIN_FREE_MB": "16",
            "LOG_FORMAT": "json",
            "NODE_WORKERS": os.environ.get("TESTS_WORKERS", "1"),
        } | {name.upper(): value for name, value in settings.items()}

    @property
    def environment(self) -> dict[str, str]:
        own = {name: value for name, value in os.environ.items() if not name.startswith("SMSGW_")}
        settings = {name: value for name, value in self._settings.items() if (name, value) != ("NODE_WORKERS", "1")}
        return own | self.clock | {f"SMSGW_{name}": value for name, value in settings.items()}  # earlier releases, too

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def origin(self) -> str:
        return "http://" + self._settings["HTTP_LISTEN"]

    @property
    def socket(self) -> Path:
        """Where it is given orders."""
        return self.data_dir / "control.sock"

    @property
    def sealer(self) -> Sealer:
        """Its key file, made where there is none."""
        named = self.environment.get("SMSGW_SECURITY_KEY_FILE")
        return load_key(Path(named) if named else self.data_dir / "secret.key", create=True)

    @contextlib.asynccontextmanager
    async def database(self) -> AsyncIterator[Database]:
        """Its database, for what would take ``smsgwctl`` a second."""
        dsn = self.environment["SMSGW_DATABASE_DSN"] or await EmbeddedPostgres(self.data_dir).find()
        assert dsn
        async with opened(dsn) as database:
            yield database

    def another(self, number: int = 2, **settings: str) -> Node:
        """One more node, on the same database and with the same key."""
        how = {"dsn": self._settings["DATABASE_DSN"], "security_key_file": str(self.data_dir / "secret.key")}
        return Node(self.data_dir.with_name(f"node{number}"), node_number=str(number), **how | settings)

    def launch(self) -> None:
        """Start the process and do not wait for it."""
        assert self.process is None
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [*self.prefix, sys.executable, "-m", "smsgw", "run"],
                cwd=self.root, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        self.starts += 1

    async def start(self, *, within: float = PATIENCE) -> None:
        """Start the process and wait until it takes messages."""
        self.launch()
        await self.ready(within=within)

    async def ready(self, *, within: float = PATIENCE) -> None:
        """Wait until the process takes messages."""
        within *= 1 + int(self._settings["NODE_WORKERS"]) // 2  # they begin one after the other
        status = await until(self._ready, within=within, what="the daemon is ready")
        self._settings["HTTP_LISTEN"] = status["urls"]["http"].removeprefix("http://")

    @property
    def workers(self) -> dict[int, int]:
        """Worker -> process id, where there are several."""
        found = {}
        for pid in children(self.pid) if self.process is not None else ():
            with contextlib.suppress(OSError, ValueError):
                words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                found[int(words[words.index(b"--worker") + 1])] = pid
        return found

    async def _ready(self) -> Any:
        assert self.process is not None
        if self.process.poll() is not None:
            raise AssertionError(f"the daemon ended with {self.process.returncode}:\n{self.log_tail()}")
        with contextlib.suppress(control_client.DaemonAway):
            status = await self.status()
            serve = all(one["state"] == "serving" for one in status.get("workers", ()))
            return status if status["ready"] and serve else None

    async def status(self) -> Any:
        """What ``smsgwctl status`` would show."""
        return await control_client.call(self.socket, "GET", "/status")

    async def reload(self) -> None:
        """Have it read its configuration now."""
        await control_client.call(self.socket, "POST", "/reload")

    async def ends(self, *, within: float = PATIENCE) -> int:
        """Wait until the process ends by itself, started for this if there is none; the exit code."""
        if self.process is None:
            self.launch()
        process = self.process
        assert process is not None
        await until(lambda: process.poll() is not None, within=within, what="the daemon has ended")
        self.process = None
        return process.returncode

    def die(self, number: int = signal.SIGKILL) -> None:
        """Kill the process, not its workers, and reap it."""
        assert self.process is not None
        self.process.send_signal(number)
        self.process.wait(timeout=10)
        self.process = None

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Kill the process and reap it."""
        workers = self.workers.values()
        self.die(number)
        for pid in workers:  # all at once, as a machine would
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    async def stop(self, *, within: float = PATIENCE) -> int:
        """SIGTERM; the exit code."""
        process, self.process = self.process, None
        assert process is not None
        process.send_signal(signal.SIGTERM)
        try:
            await until(lambda: process.poll() is not None, within=within, what="the daemon has stopped")
        finally:
            if process.poll() is None:
                process.kill()
                process.wait(timeout=10)
        return process.returncode

    async def ctl(self, *args: str, check: bool = True) -> Finished:
        """Run ``smsgwctl``. With ``check`` it must succeed."""
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "smsgw", *args],
            cwd=self.root, env=self.environment, capture_output=True, text=True, timeout=2 * PATIENCE, check=False,
        )  # fmt: skip
        finished = Finished(done.returncode, done.stdout, done.stderr)
        if check and done.returncode:
            raise AssertionError(f"smsgwctl {' '.join(args)}: {done.returncode}\n{done.stdout}{done.stderr}")
        return finished

    async def furnish(self, *args: str) -> Finished:
        """``ctl`` in this process, which spares the start of another one. For what a test needs and is not about."""
        if self.root != ROOT or self.clock:
            return await self.ctl(*args)
        return await asyncio.to_thread(self._furnish, *args)

    def _furnish(self, *args: str) -> Finished:
        with _ONE_COMMAND:
            theirs = self.environment
            mask = os.umask(0o022)
            try:
                gone = dict.fromkeys(os.environ.keys() - theirs.keys())
                with mock.patch.object(log, "setup", _log_aside):
                    done = CliRunner(env=gone | theirs).invoke(main, args)
            finally:
                os.umask(mask)
        assert done.exit_code == 0, f"smsgwctl {' '.join(args)}: {done.exit_code}\n{done.output}"
        return Finished(done.exit_code, done.stdout, done.stderr)

    async def add_channel(
        self, name: str, port: int, *options: str, protocol: str = "", host: str = "127.0.0.1", user: str = USER,
        password: str = PASSWORD, profile: dict[str, Any] | None = None,
    ) -> None:  # fmt: skip
        """A channel to a carrier; ``protocol`` is its name unless given."""
        await self.furnish(
            "channel", "add", name, "--protocol", protocol or name, "--host", host, "--port", str(port),
            "--user", user, "--password", password, *(["--profile", json.dumps(profile)] if profile else []), *options,
        )  # fmt: skip

    async def unhurried(self, key: str) -> None:
        """The account acme and its key may call as often as they like."""
        await self.furnish("account", "set", "acme", "rate=100000")
        await self.furnish("key", "set", key, "--requests-per-second", "100000")

    def log_lines(self) -> list[str]:
        return self.log_path.read_text("utf-8", "replace").splitlines() if self.log_path.exists() else []

    def log_tail(self, lines: int = 40) -> str:
        return "\n".join(self.log_lines()[-lines:])

    def complaints(self) -> list[str]:
        """Log lines that must not be: not from our logger, or with an exception that nobody has handled."""
        bad = []
        for line in self.log_lines():
            try:
                entry = json.loads(line)
            except ValueError:
                bad.append(line)
                continue
            if "exception" in entry or entry["event"] == "stop.failed":
                bad.append(line)
        return bad


def processes(folder: Path) -> list[str]:
    """Command lines of processes, but for this one, that have a folder in their command or their environment."""
    found = []
    for one in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has just ended, or is nobody's
            command = (one / "cmdline").read_bytes()
            if int(one.name) != os.getpid() and str(folder).encode() in command + (one / "environ").read_bytes():
                found.append(f"{one.name}: {command.decode('utf-8', 'replace')}")
    return found


@contextlib.contextmanager
def tmpfs(folder: Path, megabytes: int, *options: str) -> Iterator[None]:
    """The folder, which there is, on a file system of its own; only root may."""
    how = ",".join([f"size={megabytes}m", *options])
    subprocess.run(["mount", "-t", "tmpfs", "-o", how, "smsgw-e2e", folder], check=True, timeout=60)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True, timeout=60)


def fill(folder: Path, *, leave_mb: int) -> Path:
    """Take the disk's room, but for so many MB; the file that has it."""
    ballast = folder / "ballast"
    free = os.statvfs(folder)
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, free.f_bavail * free.f_frsize - leave_mb * 2**20)
    return ballast


@contextlib.asynccontextmanager
async def opened(dsn: str) -> AsyncIterator[Database]:
    """A database, for as long as a block."""
    database = Database(dsn, size=2)
    await database.open()
    try:
        yield database
    finally:
        await database.close()


@contextlib.asynccontextmanager
async def database_beside(folder: Path) -> AsyncIterator[tuple[EmbeddedPostgres, str]]:
    """A migrated database that is a process of its own, and its address."""
    database = EmbeddedPostgres(folder)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield database, await migrated(database)
    finally:
        await database.stop()


@contextlib.asynccontextmanager
async def another_node(node: Node, number: int = 2, **settings: str) -> AsyncIterator[Node]:
    """One that runs beside a node; in the end it stops without a complaint."""
    other = node.another(number, **settings)
    await other.start()
    try:
        yield other
    finally:
        await put_down(other)


async def put_down(node: Node) -> None:
    """It stops in order, whatever state it is in, and has complained of nothing."""
    if node.process is not None:
        node.process.send_signal(signal.SIGCONT)
        assert await node.stop() == 0, f"it did not stop cleanly:\n{node.log_tail()}"
    assert not node.complaints(), node.complaints()[:10]


async def alarmed(node: Node, word: str, wanted: bool = True) -> bool:
    """Whether an alarm stands, as far as the node knows, whose kind or detail has the word; or not, as wanted."""
    alarms = (await node.status())["alarms"]
    return any(word in f"{alarm['kind']} {alarm['detail']}" for alarm in alarms) is wanted


OF_THE_MACHINE = ("disk_filling", "loop_stalled", "writer_stalled")
"""Kinds of alarms that a machine with other work, or with a full disk, has of its own."""


async def listed_alarms(node: Node, *options: str) -> list[dict[str, Any]]:
    """Alarms that are kept, but for those that this machine is to blame for."""
    every = (await node.ctl("alarm", "list", *options, "--json")).data
    return [alarm for alarm in every if alarm["kind"] not in OF_THE_MACHINE]


@dataclass
class Answer:
    """An answer of the API, its envelope opened."""

    status: int
    headers: Any
    body: dict[str, Any]

    @property
    def code(self) -> str:
        return self.body["code"]

    @property
    def message(self) -> str:
        return self.body["message"]

    @property
    def data(self) -> Any:
        return self.body["data"]


class Client:
    """Speaks the HTTP API with one key, by bearer token or by signature."""

    def __init__(self, node: Node, key: dict[str, str], *, signed: bool = False) -> None:
        self.node = node
        self.key = key
        self.signed = signed
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Client:
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PATIENCE))
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._session is not None
        await self._session.close()

    def signature(
        self, method: str, path: str, body: bytes = b"", *, nonce: str = "", idempotency_key: str = ""
    ) -> dict[str, str]:
        """Headers of a signed request, made as docs/api.md tells it."""
        stamp, nonce = str(int(time.time())), nonce or secrets.token_hex(16)
        digest = hashlib.sha256(body).hexdigest()
        path, _, query = path.partition("?")
        text = "\n".join(["v2", method, path, canonical_query(query), stamp, nonce, digest, idempotency_key])
        mac = hmac.new(self.key["secret"].encode(), text.encode(), hashlib.sha256).hexdigest()
        return {
            "X-Sms-Key": self.key["key_id"],
            "X-Sms-Timestamp": stamp,
            "X-Sms-Nonce": nonce,
            "X-Sms-Signature": f"v2={mac}",
        }

    async def call(self, method: str, path: str, body: Any = None, *, headers: dict[str, str] | None = None) -> Answer:
        """One try. ``body`` is JSON, or octets as they are; given ``headers`` replace the authentication."""
        assert self._session is not None
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        path = BASE + path
        if headers is None or "Idempotency-Key" in headers:
            auth = (
                self.signature(method, path, data, idempotency_key=(headers or {}).get("Idempotency-Key", ""))
                if self.signed
                else {"Authorization": f"Bearer {self.key['bearer']}"}
            )
            headers = auth | (headers or {})
        async with self._session.request(method, self.node.origin + path, data=data or None, headers=headers) as answer:
            return Answer(answer.status, answer.headers, await answer.json())

    async def post(self, path: str, body: Any = None, **how: Any) -> Answer:
        return await self.call("POST", path, body, **how)

    async def get(self, path: str) -> Answer:
        return await self.call("GET", path)

    async def surely(self, method: str, path: str, body: Any = None, *, key: str = "", within: float = 60.0) -> Answer:
        """Repeat over lost connections and "try later" until there is an answer that counts."""
        deadline = time.monotonic() + within
        while True:
            try:
                answer = await self.call(method, path, body, headers={"Idempotency-Key": key} if key else None)
                if answer.status not in (429, 503) and answer.code != "IDEMPOTENCY_IN_PROGRESS":
                    return answer
                problem = answer.code
                pause = min(float(answer.headers.get("Retry-After", 1)), 1.0)
            except (aiohttp.ClientError, TimeoutError, ConnectionError) as exc:
                problem, pause = repr(exc), 0.1
            assert time.monotonic() < deadline, f"{method} {path} not answered: {problem}"
            await asyncio.sleep(pause)


@dataclass
class Sent:
    """A message as the customer knows it."""

    message_id: str
    to: str
    content: str
    parts: int


@dataclass
class Customer:
    """Sends, pulls reports, and keeps books of its own. All numbers and marks it uses are new ones."""

    client: Client
    sent: dict[str, Sent] = field(default_factory=dict)
    reports: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """By message id: each event once."""
    pulled: Counter[str] = field(default_factory=Counter)
    """How often each event came."""
    acknowledged: set[str] = field(default_factory=set)
    refused: dict[str, str] = field(default_factory=dict)
    """Messages that stand in the record as refused, and why."""
    _serial: int = 0

    def number(self, channel: str) -> str:
        """A phone number that is routed to this channel."""
        self._serial += 1
        return f"{PROTOCOLS[channel][3]}{self._serial:07d}"

    def text(self, text: str = "验证码 8848") -> str:
        """The text with a mark that no other text has."""
        self._serial += 1
        return f"{text}#t{self._serial:x}#"

    def note(self, answer: Answer, contents: Sequence[str]) -> list[Sent]:
        """Enter the accepted messages of a send call; ``contents`` one a number, or one for all."""
        assert answer.status == 202, (answer.status, answer.body)
        noted = []
        for n, item in enumerate(answer.data["items"]):
            if item["status"] == "rejected":
                if "message_id" in item:
                    self.refused[item["message_id"]] = item["code"]
                continue
            content = contents[n] if len(contents) > 1 else contents[0]
            one = Sent(item["message_id"], item["to"], content, item["parts"])
            known = self.sent.setdefault(one.message_id, one)
            assert known == one, "one id for two messages"
            noted.append(one)
        return noted

    async def send(self, channel: str, text: str = "", **fields: Any) -> Sent:
        """One message to a new number of that channel."""
        content = text or self.text()
        body = {"to": [self.number(channel)], "content": content, **fields}
        return self.note(await self.client.post("/messages", body), [content])[0]

    async def send_surely(self, path: str, body: dict[str, Any], *, within: float = 90.0) -> list[Sent]:
        """A send call that is repeated with its Idempotency-Key until it is answered."""
        answer = await self.client.surely("POST", path, body, key=secrets.token_hex(8), within=within)
        contents = [i["content"] for i in body["items"]] if "items" in body else [body["content"]]
        return self.note(answer, contents)

    async def send_many(
        self, n: int, *channels: str, text: str | Callable[[int], str] = "验证码 8848", **fields: Any
    ) -> list[Sent]:
        """So many messages to the channels in turn, by one call that is repeated until it is answered."""
        said = text if callable(text) else lambda _: text
        items = [{"to": self.number(channels[k % len(channels)]), "content": self.text(said(k))} for k in range(n)]
        return await self.send_surely("/messages/batch", {"items": items, **fields})

    async def replies(self, n: int = 1) -> list[dict[str, Any]]:
        """Pull and acknowledge messages from phones until there are so many, and no more."""
        found: list[dict[str, Any]] = []

        async def enough() -> bool:
            pulled = (await self.client.surely("POST", "/mo/pull", {"limit": 100})).data
            found.extend(pulled["items"])
            if pulled["batch"] is not None:
                ack = await self.client.surely("POST", "/mo/ack", {"batch": pulled["batch"]})
                assert ack.data == {"acknowledged": len(pulled["items"])}
            return len(found) >= n

        await until(enough, what=f"{n} replies")
        assert len(found) == n, found
        return found

    async def trace(self, message_id: str) -> Any:
        """Its parts and steps, as the API tells them."""
        return (await self.client.surely("GET", f"/messages/{message_id}/trace")).data

    async def get(self, message_id: str) -> dict[str, Any]:
        answer = await self.client.surely("GET", f"/messages/{message_id}")
        assert answer.status == 200, answer.body
        return answer.data

    async def status(self, message_id: str) -> str:
        return (await self.get(message_id))["status"]

    async def reaches(self, message_id: str, *statuses: str, within: float = PATIENCE) -> dict[str, Any]:
        """Wait for the message to have one of these statuses."""

        async def there() -> dict[str, Any] | None:
            message = await self.get(message_id)
            return message if message["status"] in statuses else None

        found = await until(there, within=within, what=f"message {message_id} is {statuses}")
        assert found is not None
        return found

    async def pull(self) -> int:
        """Pull one batch of reports, book it, acknowledge it; how many there were."""
        pulled = (await self.client.surely("POST", "/reports/pull", {"limit": 500})).data
        for item in pulled["items"]:
            event_id = item["event_id"]
            assert event_id not in self.acknowledged, f"acknowledged and offered again: {item}"
            self.pulled[event_id] += 1
            if self.pulled[event_id] == 1:
                self.reports.setdefault(item["message_id"], []).append(item)
        if pulled["batch"] is not None:
            ack = await self.client.surely("POST", "/reports/ack", {"batch": pulled["batch"]})
            assert ack.status == 200, ack.body
            self.acknowledged |= {item["event_id"] for item in pulled["items"]}
        return len(pulled["items"])

    async def pull_for_ever(self) -> None:
        """Pull until cancelled."""
        while True:
            if not await self.pull():
                await asyncio.sleep(0.1)

    async def listed(self) -> dict[str, dict[str, Any]]:
        """All messages of the account as the API lists them."""
        found: dict[str, dict[str, Any]] = {}
        cursor = ""
        while True:
            query = "?limit=500" + (f"&cursor={cursor}" if cursor else "")
            page = await self.client.surely("GET", f"/messages{query}")
            assert page.status == 200, page.body
            found |= {m["message_id"]: m for m in page.data["items"]}
            cursor = page.data["next_cursor"]
            if not cursor:
                return found


@dataclass
class Books:
    """What the ledger found."""

    accepted: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    unknown: set[str] = field(default_factory=set)
    """Messages that stand in ``smsgwctl unknown list``."""
    repeated_events: int = 0
    received: int = 0
    lost: int = 0
    doubled: int = 0
    unfinished: int = 0
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        statuses = ", ".join(f"{n} {status}" for status, n in sorted(self.statuses.items()))
        return (
            f"{self.accepted} accepted ({statuses}), {len(self.unknown)} unknown, "
            f"{self.received} received by carriers, {self.repeated_events} events offered again; "
            f"{len(self.problems)} problems"
        )


@dataclass
class Site:
    """A running gateway with its carriers and one customer."""

    node: Node
    carriers: dict[str, Carrier]
    customer: Customer
    signer: Client
    """The same key, but signed requests."""
    database: EmbeddedPostgres | None = None
    """Where it is a process beside the daemon, of this site alone."""
    since: datetime = field(default_factory=clock.now)

    def outages(self) -> list[str]:
        """Of daemon and database, that nobody asked for (``intended``)."""
        servers = [EmbeddedPostgres(self.node.data_dir), *([self.database] if self.database else [])]
        events = [event for one in servers for event in outages.of_server(one.home / "pg-log")]
        # the database away, by way of a proxy for one, is what many tests are about
        theirs = outages.of_daemon(line for line in self.node.log_lines() if '"worker.' in line or '"postgres.' in line)
        process = self.node.process
        if process is not None and process.poll() is not None:
            theirs.append(outages.of_end(clock.now(), process.returncode))
        return list(map(str, outages.outages([*events, *theirs], self.since, None, _intended)))

    @property
    def client(self) -> Client:
        return self.customer.client

    async def bound(self, *channels: str, within: float = PATIENCE) -> None:
        """Wait until the channels (default: all) are logged in."""
        wanted = channels or tuple(self.carriers)

        async def all_bound() -> bool:
            states = {c["name"]: c["state"] for c in (await self.node.status())["channels"]}
            return all(states.get(name) in ("bound", "idle") for name in wanted)

        await until(all_bound, within=within, what=f"{wanted} are bound")

    async def channel(self, name: str) -> dict[str, Any]:
        """The channel's line of the status."""
        return next(c for c in (await self.node.status())["channels"] if c["name"] == name)

    def submits(self) -> int:
        """How many have come to all carriers."""
        return sum(carrier.counts.submits for carrier in self.carriers.values())

    def received(self) -> Counter[str]:
        """How often each mark arrived, over all carriers."""
        tokens: Counter[str] = Counter()
        for carrier in self.carriers.values():
            tokens += carrier.inbox.tokens
        return tokens

    async def unknown(self) -> set[str]:
        """Ids in ``smsgwctl unknown list``."""
        listed = await self.node.ctl("unknown", "list", "--limit", "100000", "--json")
        return {line["message_id"] for line in listed.data}

    async def settled(self, *, within: float = 2 * PATIENCE) -> set[str]:
        """Pull until every accepted message has its report or is unknown; the unknown ones."""
        customer = self.customer
        deadline = time.monotonic() + within
        while True:
            if await customer.pull():
                continue
            left = customer.sent.keys() - customer.reports.keys()
            if not left:
                return set()
            # A report that is on its way, or due in a moment, may be about what is still unknown.
            carriers_quiet = not any(c.owed(within=10) for c in self.carriers.values())
            if carriers_quiet and (unknown := await self.unknown()) >= left:
                return unknown & left
            if time.monotonic() > deadline:
                some = [await customer.get(i) for i in sorted(left)[:3]]
                raise Unsettled(len(left), f"{len(left)} of {len(customer.sent)} have no end, such as {some}")
            await asyncio.sleep(0.1)

    async def ledger(self, *, within: float = 2 * PATIENCE) -> Books:
        """Wait for quiet, then compare what was acknowledged, sent, listed, pulled and billed."""
        unknown = await self.settled(within=within)
        customer = self.customer
        books = Books(accepted=len(customer.sent), unknown=unknown, problems=self.outages())
        problem = books.problems.append

        listed = await customer.listed()
        tokens = self.received()
        books.received = tokens.total()
        for message_id, sent in customer.sent.items():
            message = listed.get(message_id)
            if message is None:
                books.lost += 1
                problem(f"{sent} was acknowledged and does not exist")
                continue
            status = message["status"]
            books.statuses[status] += 1
            if message["content"].find(sent.content) < 0:
                problem(f"{sent} is stored as {message['content']!r}")
            if status not in FINAL and message_id not in unknown:
                books.unfinished += 1
                problem(f"{sent} is {status}")
            reports = customer.reports.get(message_id, [])
            if status in FINAL and (not reports or reports[-1]["status"] != status):
                problem(f"{sent} is {status}, and was reported as {[r['status'] for r in reports]}")
            # A late report corrects an end that was only assumed; nothing else is told twice.
            for before in reports[:-1]:
                if before["status"] not in ("unconfirmed", "no_report"):
                    problem(f"{sent} has two ends: {[r['status'] for r in reports]}")
            mark = MARK.search(sent.content)
            if mark and status == "delivered" and not tokens[mark[0]]:
                books.lost += 1
                problem(f"{sent} is delivered, and no carrier has seen it")
            if mark and status in WITHOUT_CARRIER and tokens[mark[0]]:
                problem(f"{sent} is {status}, and a carrier has taken it")
        for message_id, code in customer.refused.items():
            message = listed.get(message_id)
            told = [(r["status"], r["carrier_code"]) for r in customer.reports.get(message_id, [])]
            if not message or (message["status"], message["carrier_code"]) != ("rejected", code):
                problem(f"{message_id} was refused with {code} and is {message}")
            if told != [("rejected", code)]:
                problem(f"{message_id} was refused with {code} and reported as {told}")
        strangers = listed.keys() - customer.sent.keys() - customer.refused.keys()
        if strangers:
            problem(f"{len(strangers)} messages were stored and never acknowledged: {sorted(strangers)[:3]}")
        doubled = [token for token, n in tokens.items() if n > 1]
        books.doubled = len(doubled)
        if doubled:
            problem(f"{len(doubled)} texts were sent more than once: {doubled[:5]}")
        for name, carrier in self.carriers.items():
            repeated = carrier.inbox.summary()["doubled"]
            if repeated:
                problem(f"{name} took {repeated} parts or texts twice")
        books.repeated_events = sum(n - 1 for n in customer.pulled.values())
        money = await self.node.ctl("ledger", "check", "--json", check=False)
        for line in json.loads(money.out):
            books.problems += [f"ledger of {line['account']}: {p}" for p in line["problems"]]
        return books

    async def clean(self, *, within: float = 2 * PATIENCE, unknown: int = 0) -> Books:
        """The ledger must balance, with at most ``unknown`` unknown outcomes."""
        books = await self.ledger(within=within)
        assert not books.problems, "\n".join([str(books), *books.problems[:20]])
        assert len(books.unknown) <= unknown, str(books)
        return books


def carrier_for(name: str, behaviour: Behaviour | None = None, **config: Any) -> Carrier:
    """The simulated carrier behind a channel, which comes back where it was."""
    config.setdefault("port", free_port())
    if name == "sgip12":
        config.setdefault("deliver_to", f"127.0.0.1:{free_port()}")
    protocol = PROTOCOLS[name][0]
    return Carrier(
        CarrierConfig(
            name=name, protocol=protocol, users={USER: PASSWORD}, token_pattern=MARK.pattern,
            cmpp_version="2.0" if name == "cmpp20" else "3.0",
            behaviour=behaviour or Behaviour(answer_delay=Delay(0.0, 0.01), report_delay=Delay(0.02, 0.1)),
            **config,
        )
    )  # fmt: skip


PORTS, BLOCK = range(22_000, 32_000), 500
"""Below those that the kernel gives to connections."""


@functools.cache
def _own_ports() -> Iterator[int]:
    """The ports of this process: whoever else runs tests on this machine has others."""
    for first in reversed(range(PORTS.start, PORTS.stop, BLOCK)):
        with contextlib.suppress(OSError):  # another process has it, or another user
            lock = os.open(f"{tempfile.gettempdir()}/smsgw-tests-ports-{first}", os.O_CREAT, 0o644)
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # until the process ends
            return itertools.cycle(range(first, first + BLOCK))
    raise AssertionError("all blocks of ports are in use")


def free_port() -> int:
    """A port that nobody listens on, and nobody will be given before it is used."""
    for port in itertools.islice(_own_ports(), BLOCK):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


def profile_of(carrier: Carrier, given: dict[str, Any]) -> dict[str, Any]:
    """SGIP: the channel listens where its carrier brings reports."""
    if carrier.config.protocol != "sgip":
        return given
    return {"node": SGIP_NODE, "sgip_listen": carrier.config.deliver_to, "idle": 2} | given


@contextlib.asynccontextmanager
async def site(
    data_dir: Path,
    *,
    dsn: str = "",
    channels: Iterable[str] = tuple(CHANNELS),
    behaviour: Callable[[], Behaviour] | None = None,
    channel_options: Sequence[str] = (),
    profile: dict[str, Any] | None = None,
    carrier: dict[str, Any] | None = None,
    balance: int = 100_000,
    start: bool = True,
    policies: bool = False,
    root: Path = ROOT,
    **settings: str,
) -> AsyncIterator[Site]:
    """A gateway with an account, a key and channels, made by ``smsgwctl``. Nothing is left of it afterwards.

    ``profile`` is of all channels, ``carrier`` configures their carriers.
    ``root``: the program that runs.
    Without ``policies`` there are no limits of frequency, no quiet hours and no opt-out wording is asked for.
    """
    node = Node(data_dir, dsn=dsn, **settings)
    node.root = root
    carriers = {name: carrier_for(name, behaviour() if behaviour else None, **(carrier or {})) for name in channels}
    async with contextlib.AsyncExitStack() as stack:
        for one in carriers.values():
            await stack.enter_async_context(one)
        stack.push_async_callback(_stopped, node)
        if not dsn:  # the embedded database must run for the commands
            await node.start()
        account = await node.furnish(
            "account", "add", "acme", "--no-sign", "--webhook-networks", "127.0.0.0/8",
            "--balance", str(balance), "--json",
        )  # fmt: skip
        assert account.data["name"] == "acme"
        if not policies:
            await _relax(node)
        key = (await node.furnish("key", "add", "acme", "--json")).data
        for name, one in carriers.items():
            await node.add_channel(
                name, one.port, "--carrier", PROTOCOLS[name][1], "--access-code", PROTOCOLS[name][2], *channel_options,
                host=one.config.host, profile=profile_of(one, profile or {}),
            )  # fmt: skip
        client = await stack.enter_async_context(Client(node, key))
        signer = await stack.enter_async_context(Client(node, key, signed=True))
        built = Site(node, carriers, Customer(client), signer)
        if start:
            if dsn:
                await node.start()
            await built.bound()
        yield built
        complaints = node.complaints()
        assert not complaints, "\n".join(complaints[:10])


async def _relax(node: Node) -> None:
    """In one process: each command takes a second."""
    key = node.sealer
    audit.use(lambda: key)  # as the commands sign it
    async with node.database() as database:
        await relax(by_test(database))


async def _stopped(node: Node) -> None:
    if node.process is not None and await node.stop() != 0:
        raise AssertionError(f"the daemon did not stop cleanly:\n{node.log_tail()}")
