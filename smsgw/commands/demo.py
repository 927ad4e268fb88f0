"""``smsgwctl demo``: everything on one machine, in one process tree, ready to be tried.

Embedded PostgreSQL, three simulated carriers (CMPP 3.0, CMPP 2.0, SMPP 3.4), the daemon with portal and API. A first
message goes through, and what is printed works as printed.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
import webbrowser
from dataclasses import replace
from pathlib import Path

import click
import uvloop

from smsgw.admin.hashing import hash_password
from smsgw.admin.strength import one_time_password
from smsgw.commands.base import BadConfiguration, Failed, command, what_failed
from smsgw.core.actor import Actor, ActorLabel
from smsgw.core.errors import SmsgwError
from smsgw.core.model import Account, MessageType, Origin
from smsgw.core.templates import Review
from smsgw.core.words import samples
from smsgw.demo.carriers import CHANNELS, NOWHERE, SECRET, USER
from smsgw.demo.world import LINKS_PORT, LOCAL_LINKS
from smsgw.node import life
from smsgw.node.parts import Node
from smsgw.pipeline.accept.acceptor import SendItem, SendRequest
from smsgw.platform.accounts import service as accounts
from smsgw.platform.change import Change
from smsgw.platform.channels import queries as channel_queries, service as channels
from smsgw.platform.content import model as content_model, service as content
from smsgw.platform.keys import service as keys
from smsgw.platform.org import queries, service as org
from smsgw.platform.policies import service as policies
from smsgw.runtime import log
from smsgw.runtime.config import (
    Config,
    ConfigError,
    DatabaseConfig,
    HttpConfig,
    NodeConfig,
    OpsConfig,
    PublicConfig,
    load,
    split_address,
)
from smsgw.simulator import Behaviour, Carrier, CarrierConfig, Delay, Rule

ACCOUNT = "demo"
LOGIN = "admin"
SIGN = samples.DEMO_SIGN
BALANCE = 1_000_000
FIRST_NUMBER = "13800138000"
BOUND_WITHIN = 15.0
DELIVERED_WITHIN = 10.0

CARRIERS = {
    # channel name: (protocol of the channel, protocol of the simulator, carriers, access code)
    name: (protocol, protocol[:4], list(carriers), access_code)
    for name, (protocol, carriers, access_code) in CHANNELS.items()
}
RULES = (
    Rule(suffix="0001", report="UNDELIV"),
    Rule(suffix="0002", report="MK:0001"),
    Rule(suffix="0003", report="none"),
)


@command()
@click.option("--port", type=click.IntRange(1, 65535), default=8080, show_default=True, help="Of portal and API.")
@click.option("--data", "data_dir", type=click.Path(path_type=Path, file_okay=False), default=Path("var"),
              show_default=True, help="Data directory; kept between runs.")  # fmt: skip
@click.option("--no-browser", is_flag=True, help="Do not open the portal.")
def demo(port: int, data_dir: Path, no_browser: bool) -> None:
    """Run everything on this machine, with simulated carriers, ready to be tried. Ctrl-C stops it all."""
    log.setup(os.environ.get("SMSGW_LOG_LEVEL", "warning"), os.environ.get("SMSGW_LOG_FORMAT", "auto"))
    try:
        durability = load(None).durability
    except ConfigError as exc:
        raise BadConfiguration(str(exc)) from exc
    settings = Config(
        node=NodeConfig(data_dir=data_dir),
        database=DatabaseConfig(),
        http=HttpConfig(listen=f"127.0.0.1:{port}", insecure_bearer=True),
        ops=OpsConfig(listen="127.0.0.1:0"),
        durability=durability,
    )
    show = Demo(settings, open_browser=not no_browser)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(show.run())
    except (RuntimeError, OSError, SmsgwError) as exc:
        raise Failed(what_failed(exc)) from exc


def _change(node: Node) -> Change:
    return Change(node.database, Actor.system("demo"), ids=node.ids.next)


class Demo:
    """The carriers and the daemon, from start to Ctrl-C."""

    def __init__(self, settings: Config, *, open_browser: bool) -> None:
        self._settings = settings
        self._open_browser = open_browser
        self._password = SECRET  # of simulated carriers that listen on loopback only
        self._carriers: dict[str, Carrier] = {}

    async def run(self) -> None:
        """Returns after a clean stop."""
        click.echo("starting: simulated carriers, PostgreSQL, daemon …")
        ports = self._last_ports()
        self._serve_links(ports.get("links", LINKS_PORT))
        try:
            for name, (_, protocol, _, _) in CARRIERS.items():
                behaviour = Behaviour(answer_delay=Delay(0.005, 0.03), report_delay=Delay(0.3, 1.2), rules=RULES)
                config = CarrierConfig(name=name, protocol=protocol, users={USER: self._password}, behaviour=behaviour)
                self._carriers[name] = await self._start_carrier(config, ports.get(name, 0))
            self._keep_ports()
            await life.run(self._settings, on_ready=self._ready)
        finally:
            for carrier in self._carriers.values():
                await carrier.stop()
        click.echo("stopped; the data stay in " + str(self._settings.node.data_dir))

    def _serve_links(self, port: int) -> None:
        """At the port that links of earlier runs have, or at any free one."""
        if port == split_address(self._settings.http.listen)[1]:
            port = 0
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        public = PublicConfig(listen=f"127.0.0.1:{port}", hosts=(f"{LOCAL_LINKS}:{port}",))
        self._settings = replace(self._settings, public=public)

    @staticmethod
    async def _start_carrier(config: CarrierConfig, port: int) -> Carrier:
        """On the port of the last run, where the channels look for it, or on any free one."""
        try:
            carrier = Carrier(replace(config, port=port))
            await carrier.start()
        except OSError:
            carrier = Carrier(config)
            await carrier.start()
        return carrier

    @property
    def _ports_file(self) -> Path:
        return self._settings.node.data_dir / "demo-ports.json"

    def _last_ports(self) -> dict[str, int]:
        try:
            return {name: int(port) for name, port in json.loads(self._ports_file.read_text("ascii")).items()}
        except (OSError, ValueError, AttributeError):
            return {}

    def _keep_ports(self) -> None:
        self._ports_file.parent.mkdir(parents=True, exist_ok=True)
        ports = {name: carrier.port for name, carrier in self._carriers.items()}
        ports["links"] = split_address(self._settings.public.listen)[1]
        self._ports_file.write_text(json.dumps(ports), "ascii")

    async def _ready(self, node: Node) -> None:
        account = await self._account(node)
        await self._channels(node)
        password = await self._admin(node)
        new_key = await keys.add(_change(node), node.sealer, account.id)
        await node.channels.follow_now()
        await self._all_bound(node)
        first = await self._first_message(node, account)
        url = node.urls["http"]
        self._print(url, password, new_key.bearer, first)
        if self._open_browser and (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            await asyncio.to_thread(webbrowser.open, url)

    async def _account(self, node: Node) -> Account:
        if node.snapshots.current.account_by_name(ACCOUNT) is None:
            change = _change(node)
            account_id = await accounts.add(change, ACCOUNT, display_name=samples.DEMO_ACCOUNT, default_sign=SIGN)
            await accounts.top_up(change, account_id, BALANCE, samples.DEMO_BALANCE)
            sign_id = await content.add_sign(change, account_id, SIGN)  # only approved ones are sent with
            await content.review(change, content_model.SIGN, sign_id, Review.APPROVED)
            for name in ("frequency", "identical_seconds"):  # people try the same thing again and again
                await policies.put(change, name, "off")
            await node.snapshots.follow()
        account = node.snapshots.current.account_by_name(ACCOUNT)
        if account is None:
            raise RuntimeError("the demo account has vanished")
        return account

    async def _channels(self, node: Node) -> None:
        """Make the channels, or point them at this run's carriers (their ports are free ones each time)."""
        known = {view.name: view for view in await channel_queries.channels(node.database)}
        for name, (protocol, _, carriers, access_code) in CARRIERS.items():
            place = {"host": "127.0.0.1", "port": self._carriers[name].port, "password": self._password}
            if name in known:
                if known[name].port == place["port"]:
                    continue
                started = {"desired": "started"} if known[name].port == NOWHERE else {}
                await channels.edit(_change(node), node.sealer, name, place | started)
            else:
                fields = place | {
                    "protocol": protocol,
                    "username": USER,
                    "access_code": access_code,
                    "carriers": carriers,
                    "rate": 400,
                }
                await channels.add(_change(node), node.sealer, name, fields)

    async def _admin(self, node: Node) -> str | None:
        """The password of the first administrator when it was made in this run."""
        if await queries.person(node.database, LOGIN) is not None:
            return None
        password = await asyncio.to_thread(one_time_password, LOGIN, samples.DEMO_PERSON)
        hashed = await asyncio.to_thread(hash_password, password)
        change = Change(node.database, Actor.system("demo"))
        await org.add_person(change, LOGIN, samples.DEMO_PERSON, ["super"], hashed, must_change=False)
        return password

    async def _all_bound(self, node: Node) -> None:
        async with asyncio.timeout(BOUND_WITHIN):
            while not all(s.state == "bound" for s in node.channels.status() if s.name in CARRIERS):  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    async def _first_message(self, node: Node, account: Account) -> str:
        item = SendItem(FIRST_NUMBER, samples.DEMO_FIRST)
        result = await node.acceptor.send(
            SendRequest(account, (item,), MessageType.NOTICE, Origin.CLI, ActorLabel("demo"))
        )
        message_id = result.items[0].message_id
        if message_id is None:
            raise RuntimeError(f"the first message was refused: {result.items[0].message}")
        return message_id

    def _print(self, url: str, password: str | None, bearer: str, first: str) -> None:
        body = f'{{"to":["13900139000"],"type":"notice","content":"{samples.DEMO_NOTICE}"}}'
        ctl = f"SMSGW_NODE_DATA_DIR={self._settings.node.data_dir} {Path(sys.argv[0]).absolute()}"
        curl = (
            f"curl -sS -X POST {url}/api/v1/messages -H 'Authorization: Bearer {bearer}' "
            f"-H 'Content-Type: application/json' -d '{body}'"
        )
        click.echo(
            f"""
smsgw is running. Ctrl-C stops everything.

  portal    {url}
  login     {LOGIN} / {password or "(as printed by the first run; a new one: see below)"}
  API key   {bearer}

Send a message: open the portal in a browser, log in, and press the blue button at the top. Or:

  {curl}

Follow a message (the first one was sent just now):

  {ctl} trace {first}

A new password:

  {ctl} user reset {LOGIN}

Numbers ending 0001 fail, 0002 are empty numbers, 0003 never get a report. 138… goes by CMPP 3.0,
130… by CMPP 2.0, 133… by SMPP. Short links open at http://{self._settings.public.hosts[0]}/CODE, on this machine.
"""
        )
