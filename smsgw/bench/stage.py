"""The stage: a daemon with its own database and simulated carriers, each a process of its own, in a new folder."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from smsgw.bench import outages, processes
from smsgw.bench.outages import Event, Intended
from smsgw.core.actor import Actor
from smsgw.core.ids import IdSource
from smsgw.core.keys import MAX_REQUESTS_PER_SECOND
from smsgw.core.keywords import Word
from smsgw.core.partners import MAX_WINDOW
from smsgw.core.templates import Form, Review, Variable
from smsgw.core.webhooks import Reach, parse_networks
from smsgw.core.words import samples
from smsgw.node import control_client
from smsgw.platform.accounts import service as accounts
from smsgw.platform.change import Change
from smsgw.platform.channels import recordings, service as channels
from smsgw.platform.content import service as content
from smsgw.platform.content.model import SIGN, TEMPLATE
from smsgw.platform.keys import service as keys
from smsgw.platform.partners import service as partners
from smsgw.platform.policies import service as policies
from smsgw.platform.webhooks import service as webhooks
from smsgw.platform.webhooks.model import Wanted
from smsgw.platform.words import service as words
from smsgw.runtime import aio, clock
from smsgw.store.engine.database import Database
from smsgw.store.engine.embedded import EmbeddedPostgres
from smsgw.store.engine.secrets import Sealer, load_key
from smsgw.store.records import audit

CARRIER_NICENESS = -10
START_TIMEOUT = 120.0
STOP_TIMEOUT = 40.0
ACCOUNT, CODES_ACCOUNT = "bench", "bench-codes"
CMPP_LOGIN = "bench"
"""At most six octets."""
HOST = "127.0.0.1"
USER = "900001"
MESSAGES_PER_SECOND = 1_000_000
REQUESTS_PER_SECOND = MAX_REQUESTS_PER_SECOND
BALANCE = 1_000_000_000
POLICIES = {"frequency": "100000/1d", "identical_seconds": "off", "hours": "off"}
"""Its numbers come again and again: they are counted, and never too many."""
WORDS = 10_000
"""Sought in every text."""
_ANSWER_LIMIT = 256 * 1024 * 1024
"""Octets of one line of the simulator: the list of everything that arrived."""

KINDS = (
    # protocol of the channel, protocol of the simulator, carrier, first digits of its numbers
    ("cmpp30", "cmpp", "CMCC", "138"),
    ("cmpp20", "cmpp", "CUCC", "130"),
    ("smpp34", "smpp", "CTCC", "133"),
)
SMPP = tuple(kind for kind in KINDS if kind[1] == "smpp")


@dataclass(frozen=True, slots=True)
class Setting:
    """How the carriers and the channels to them are. Delays in milliseconds, as the simulator reads them."""

    channels: int = 3
    kinds: Sequence[tuple[str, str, str, str]] = KINDS
    """Of the channels, in turn."""
    links: int = 2
    window: int = 100
    answer_delay: str = "5"
    report_delay: str = "100"
    keep_messages: int = 100_000
    partner: str = ""
    """The protocol of the account's partner login; empty: none, its reports are pulled."""
    partner_binds: int = 0
    accounts: int = 1
    """That post."""
    codes_account: bool = False
    """One-time codes have an account of their own."""
    template: bool = False
    """There is a template whose variables each recipient has values of."""
    balanced: bool = False
    """Every channel serves every carrier's numbers: which one takes a message is the platform's choice."""
    channel_rate: int = 0
    """Submits per second of each channel; 0 is unlimited."""
    push_to: str = ""
    """Reports are pushed to this address; empty: they are pulled."""
    recorded: bool = False
    """Submits of all channels are recorded."""
    workers: int = 1
    """Of the daemon."""
    modest: bool = False
    """Other work on this machine goes first: no process of the stage is raised above it."""

    @property
    def prefixes(self) -> Sequence[str]:
        """First digits of numbers that these channels serve, in turn."""
        return [kind[3] for kind in self.kinds[: self.channels]]


class Simulation:
    """``smsgwctl simulate`` as a child, driven over its standard input."""

    def __init__(self, process: asyncio.subprocess.Process, ports: dict[str, int]) -> None:
        self._process = process
        self.ports = ports
        self.pid = process.pid

    @classmethod
    async def start(cls, folder: Path, setting: Setting, password: str) -> Simulation:
        """Run one carrier a channel."""
        kinds = setting.kinds
        tables = [
            f'[[carrier]]\nname = "bench-{n}"\nprotocol = "{kinds[n % len(kinds)][1]}"\nlisten = "127.0.0.1:0"\n'
            f'user = "{USER}"\npassword = "{password}"\nanswer_delay = "{setting.answer_delay}"\n'
            f'report_delay = "{setting.report_delay}"\nkeep_messages = {setting.keep_messages}\n'
            for n in range(setting.channels)
        ]
        scenario = folder / "carriers.toml"
        scenario.write_text("\n".join(tables), "utf-8")
        with _open(folder / "carriers.log") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "smsgw", "simulate", "--attached", str(scenario),
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=log,
                start_new_session=True, limit=_ANSWER_LIMIT,
            )  # fmt: skip
        simulation = cls(process, {})
        # A carrier has a machine of its own and reads in time; here it at least goes first. Needs root.
        if not setting.modest:
            with contextlib.suppress(PermissionError, ProcessLookupError):
                os.setpriority(os.PRIO_PROCESS, process.pid, CARRIER_NICENESS)
        try:
            ready = await simulation._line()
        except BaseException:
            await end(process)
            raise
        simulation.ports = {c["carrier"]: c["port"] for c in ready["carriers"]}
        return simulation

    async def _line(self) -> dict[str, Any]:
        if self._process.stdout is None:
            raise RuntimeError("the simulator has no output")
        async with asyncio.timeout(START_TIMEOUT):
            line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError("the simulated carriers ended; see carriers.log")
        answer: dict[str, Any] = json.loads(line)
        return answer

    async def ask(self, **command: Any) -> Any:
        """The result of one command."""
        if self._process.stdin is None:
            raise RuntimeError("the simulator has no input")
        self._process.stdin.write(json.dumps(command).encode() + b"\n")
        await self._process.stdin.drain()
        answer = await self._line()
        if answer["event"] != "done":
            raise RuntimeError(f"simulator: {answer}")
        return answer["result"]

    async def stop(self) -> None:
        """End the process."""
        await end(self._process)


def _open(path: Path) -> IO[bytes]:
    return path.open("wb")


async def end(process: asyncio.subprocess.Process) -> None:
    """SIGTERM, and what is still there after ``STOP_TIMEOUT`` is killed."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(STOP_TIMEOUT):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


@dataclass(frozen=True, slots=True)
class Seeded:
    """What the database was given, and says of itself."""

    dsn: str
    bearer: str = field(repr=False)
    password: str = field(repr=False)
    """Of the partner."""
    settings: dict[str, str]
    """Of the database, that a figure depends on."""
    push_secret: str = field(default="", repr=False)
    other_bearers: Sequence[str] = field(default=(), repr=False)
    """Of further accounts."""
    codes_bearer: str = field(default="", repr=False)
    """Of the account that one-time codes have; empty: they are the same account's."""
    template: str = ""
    """Id of the template."""


@dataclass(slots=True)
class Stage:
    """Everything that runs."""

    setting: Setting
    folder: Path
    simulation: Simulation
    daemon: asyncio.subprocess.Process
    ports: Sequence[int]
    """Of the API and of the servers for partners by SMPP and CMPP: the same after a new start."""
    seeded: Seeded
    daemon_pids: Sequence[int] = ()
    """The daemon, or its supervisor and workers."""
    postgres_pid: int = 0
    since: datetime = field(default_factory=clock.now)
    """From when on an outage is one."""
    intended: list[Intended] = field(default_factory=list)
    """Faults that were asked for."""
    _ends: list[Event] = field(default_factory=list)
    """Of the daemon's process, that nobody asked for."""
    _watch: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """Of the API."""
        return f"http://{HOST}:{self.ports[0]}"

    def partners(self, protocol: str) -> tuple[str, int]:
        """Where the server for partners is."""
        return HOST, self.ports[1 if protocol == "smpp" else 2]

    def look(self) -> None:
        """See which processes there are now."""
        mine = processes.children(self.daemon.pid)
        self.postgres_pid = _postmaster(self.folder / "data") or self.postgres_pid
        self.daemon_pids = [self.daemon.pid, *(pid for pid in mine if pid != self.postgres_pid)]

    def watch(self) -> None:
        """Note it when the daemon's process ends."""
        self._watch = aio.spawn(self._note_end(self.daemon), name="bench.daemon")

    async def _note_end(self, daemon: asyncio.subprocess.Process) -> None:
        status = await daemon.wait()
        self._ends.append(outages.of_end(clock.now(), status))

    async def unwatch(self) -> None:
        """From here on its end is asked for."""
        await aio.cancel(self._watch)
        self._watch = None

    def outage_events(self) -> list[Event]:
        """Of daemon and database, also those that were asked for."""
        server = EmbeddedPostgres(self.folder / "data").home / "pg-log"
        return [*outages.of_server(server), *outages.of_daemon(self.daemon_log()), *self._ends]

    async def kill_database(self) -> None:
        """SIGKILL to its postmaster, which the daemon has to bring back. Returns when it is ready again."""
        began = clock.now()
        self.look()
        gone = self.postgres_pid
        os.kill(gone, signal.SIGKILL)
        deadline = time.monotonic() + START_TIMEOUT
        while _postmaster(self.folder / "data") in (gone, 0):
            if time.monotonic() > deadline:
                raise TimeoutError("the database was not brought back")
            await asyncio.sleep(0.02)
        await _ready(self.daemon, self.folder)
        self.intended.append(Intended(began, clock.now()))
        self.look()

    async def kill_daemon(self) -> None:
        """SIGKILL, and a new start on the same folder. Returns when it is ready again and all channels are bound."""
        began = clock.now()
        await self.unwatch()
        self.look()
        for pid in self.daemon_pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        await self.daemon.wait()
        self.daemon = await _start_daemon(self.folder, self.setting.workers, self.ports)
        await _ready(self.daemon, self.folder)
        self.watch()
        await _bound(self.folder / "data" / "control.sock", self.setting.channels)
        self.intended.append(Intended(began, clock.now()))
        self.look()

    def daemon_log(self) -> list[str]:
        """What the daemon had to complain about."""
        return (self.folder / "daemon.log").read_text("utf-8", "replace").splitlines()


@contextlib.asynccontextmanager
async def staged(parent: Path | None, setting: Setting) -> AsyncIterator[Stage]:
    """Bring everything up in a new folder below ``parent`` (None: the system's), and remove all of it at the end."""
    folder = Path(tempfile.mkdtemp(prefix="smsgw-bench-", dir=parent))
    data = folder / "data"
    daemon: asyncio.subprocess.Process | None = None
    simulation: Simulation | None = None
    stage: Stage | None = None
    try:
        password = secrets.token_hex(4)
        simulation = await Simulation.start(folder, setting, password)
        ports = free_ports(3)
        daemon = await _start_daemon(folder, setting.workers, ports)
        await _ready(daemon, folder)
        seeded = await _seed(data, setting, simulation, password)
        await control_client.call(data / "control.sock", "POST", "/reload")
        await _bound(data / "control.sock", setting.channels)
        stage = Stage(setting, folder, simulation, daemon, ports, seeded)
        stage.look()
        stage.watch()
        yield stage
    finally:
        if stage is not None:
            await stage.unwatch()
        if daemon is not None:
            await end(stage.daemon if stage is not None else daemon)
        if simulation is not None:
            await simulation.stop()
        shutil.rmtree(EmbeddedPostgres(data).home, ignore_errors=True)  # elsewhere when root runs it
        shutil.rmtree(folder, ignore_errors=True)


def free_ports(n: int) -> list[int]:
    """Of loopback, that nobody listens on."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(n)]
        for one in sockets:
            one.bind((HOST, 0))
        return [one.getsockname()[1] for one in sockets]


def _postmaster(data: Path) -> int:
    """Its process id, by the file that it writes; 0 while there is none."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        pid = int((EmbeddedPostgres(data).home / "pg" / "postmaster.pid").read_text("ascii").split()[0])
        return pid if processes.name(pid) == "postgres" else 0
    return 0


async def _start_daemon(folder: Path, workers: int, ports: Sequence[int]) -> asyncio.subprocess.Process:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("SMSGW_")}
    http, smpp, cmpp = (f"{HOST}:{port}" for port in ports)
    environment |= {
        "SMSGW_NODE_DATA_DIR": str(folder / "data"),
        "SMSGW_NODE_WORKERS": str(workers),
        "SMSGW_HTTP_LISTEN": http,
        "SMSGW_HTTP_INSECURE_BEARER": "true",
        "SMSGW_OPS_LISTEN": f"{HOST}:0",
        "SMSGW_WEBHOOKS_HTTP": "true",
        "SMSGW_WEBHOOKS_NETWORKS": "127.0.0.0/8",
        "SMSGW_WEBHOOKS_PORTS": "1-65535",
        "SMSGW_PARTNERS_SMPP_LISTEN": smpp,
        "SMSGW_PARTNERS_CMPP_LISTEN": cmpp,
        "SMSGW_LOG_LEVEL": "warning",
        "SMSGW_LOG_FORMAT": "json",
    }
    with (folder / "daemon.log").open("ab") as log:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "smsgw", "run", "--attached",
            stdin=asyncio.subprocess.PIPE, stdout=log, stderr=log, env=environment, start_new_session=True,
        )  # fmt: skip


async def _ready(daemon: asyncio.subprocess.Process, folder: Path) -> dict[str, Any]:
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        if daemon.returncode is not None:
            words = (folder / "daemon.log").read_text("utf-8", "replace").strip()[-2000:]
            raise RuntimeError(f"the daemon ended with {daemon.returncode}: {words}")
        with contextlib.suppress(control_client.DaemonAway):
            status: dict[str, Any] = await control_client.call(folder / "data" / "control.sock", "GET", "/status")
            if status["ready"] and all(one["state"] == "serving" for one in status["workers"]):
                return status
        await asyncio.sleep(0.1)
    raise TimeoutError("the daemon did not come up")


async def _seed(data: Path, setting: Setting, simulation: Simulation, password: str) -> Seeded:
    """An account with a key that may call as often as it likes, what the run needs beside it, and the channels."""
    dsn = await EmbeddedPostgres(data).find()
    if dsn is None:
        raise RuntimeError("the daemon's database is not to be found")
    sealer = load_key(data / "secret.key", create=False)
    audit.use(lambda: sealer)
    database = Database(dsn, size=2)
    await database.open()
    try:
        ids = IdSource(1, lambda: time.time_ns() // 1_000_000)
        change = Change(database, Actor.system("bench"), ids=ids.next)
        for name, value in POLICIES.items():
            await policies.put(change, name, value)
        await words.put(change, [Word(samples.BENCH_WORD.format(n=n)) for n in range(WORDS)])
        account, bearer = await _account(change, sealer, ACCOUNT)
        others = [(await _account(change, sealer, f"{ACCOUNT}-{n}"))[1] for n in range(2, setting.accounts + 1)]
        codes_bearer = (await _account(change, sealer, CODES_ACCOUNT))[1] if setting.codes_account else ""
        if setting.partner:
            limits = {"max_binds": setting.partner_binds, "window": MAX_WINDOW}
            await partners.add(change, sealer, account, setting.partner, CMPP_LOGIN, password, limits)
        template = await _template(change, account) if setting.template else ""
        for n in range(setting.channels):
            protocol, _, carrier, _ = setting.kinds[n % len(setting.kinds)]
            fields = {
                "protocol": protocol, "host": HOST, "port": simulation.ports[f"bench-{n}"],
                "username": USER, "password": password, "access_code": f"1069{n:04d}",
                "connections": setting.links, "window": setting.window, "rate": setting.channel_rate,
                "carriers": [kind[2] for kind in KINDS] if setting.balanced else [carrier],
            }  # fmt: skip
            channel_id = await channels.add(change, sealer, f"bench-{n}", fields)
            if setting.recorded:
                await recordings.begin(change, channel_id, hours=recordings.MOST_HOURS, reason="bench")
        names = ("server_version", "fsync", "synchronous_commit", "full_page_writes", "shared_buffers")
        secret = ""
        if setting.push_to:
            reach = Reach(http=True, networks=parse_networks(["127.0.0.0/8"]), ports=((1, 65535),))
            wanted = Wanted("bench", setting.push_to)
            made = await webhooks.put(change, sealer, account, wanted, reach)
            secret = made or ""
        told = {name: await database.fetchval(f"SHOW {name}") for name in names}
        return Seeded(dsn, bearer, password, told, secret, others, codes_bearer, template)
    finally:
        await database.close()


async def _account(change: Change, sealer: Sealer, name: str) -> tuple[int, str]:
    """One that can pay, and what its key says of itself."""
    account = await accounts.add(
        change, name, default_sign=samples.BENCH_SIGN, rate=MESSAGES_PER_SECOND, webhook_networks="127.0.0.0/8"
    )
    await accounts.top_up(change, account, BALANCE, "bench")
    sign = await content.add_sign(change, account, samples.BENCH_SIGN)
    await content.review(change, SIGN, sign, Review.APPROVED)
    key = await keys.add(change, sealer, account, requests_per_second=REQUESTS_PER_SECOND)
    return account, key.bearer


async def _template(change: Change, account: int) -> str:
    """An approved one; its id."""
    variables = {"name": Variable(), "code": Variable(Form.DIGITS)}
    id_ = await content.add_template(change, account, "bench", "notice", samples.BENCH_TEMPLATE, variables)
    await content.review(change, TEMPLATE, id_, Review.APPROVED)
    return str(id_)


async def _bound(socket: Path, count: int) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        status = await control_client.call(socket, "GET", "/status")
        ready = [c for c in status["channels"] if c["bound"] == c["connections"]]
        if len(ready) == count:
            return
        await asyncio.sleep(0.1)
    raise TimeoutError("the channels did not bind")
