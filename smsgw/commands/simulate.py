"""`smsgwctl simulate`: carriers on local ports, from a scenario file, from flags, or both."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click
import structlog

from smsgw.commands.base import command
from smsgw.recording import RecordingError, read
from smsgw.runtime.aio import keep_memory
from smsgw.simulator import ScenarioError, Simulator, parse_scenario
from smsgw.simulator.config import PROTOCOLS, Scenario, read_toml

_PORTS = {"cmpp": "127.0.0.1:7890", "smpp": "127.0.0.1:2775", "sgip": "127.0.0.1:8801", "smgp": "127.0.0.1:8890"}
_DEFAULTS = (("cmpp", _PORTS["cmpp"]), ("smpp", _PORTS["smpp"]))

# Flags that become keys of every carrier's behaviour.
_BEHAVIOUR = (
    "answer_delay",
    "report_delay",
    "answers",
    "reports",
    "rate",
    "lose_answers",
    "late_answers",
    "late_by",
    "duplicate_answers",
    "early_reports",
    "lose_reports",
    "late_reports",
    "duplicate_reports",
    "no_window",
    "repeat_refused",
    "disconnect_after",
    "disconnect_rst",
    "refuse_login",
    "max_connections",
)


# Flags that are keys of a carrier.
_OWN = ("token_pattern", "replay", "replay_speed", "access_code", "record", "record_seconds", "record_mb")


@command()
@click.argument("scenario", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--cmpp", multiple=True, metavar="HOST:PORT", help="A CMPP 2.0/3.0 carrier; may be repeated.")
@click.option("--smpp", multiple=True, metavar="HOST:PORT", help="An SMPP 3.4 carrier; may be repeated.")
@click.option("--sgip", multiple=True, metavar="HOST:PORT", help="An SGIP 1.2 carrier; may be repeated.")
@click.option("--smgp", multiple=True, metavar="HOST:PORT", help="An SMGP 3.0 carrier; may be repeated.")
@click.option("--deliver-to", metavar="HOST:PORT", help="SGIP: the client's listener, for reports and replies.")
@click.option("--tls-cert", metavar="FILE", help="SMPP carriers of these flags speak TLS with it (PEM).")
@click.option("--tls-key", metavar="FILE", help="Its private key, when not in the same file.")
@click.option("--user", default="900001", show_default=True, help="Name for carriers given by flags.")
@click.option("--password", default="secret", show_default=True, help="Password for carriers given by flags.")
@click.option("--answer-delay", metavar="MS", help="40, 20..80 (uniform) or 40~10 (normal).")
@click.option("--report-delay", metavar="MS", help="The same for reports.")
@click.option("--answers", metavar="MIX", help="Statuses of answers, e.g. 0:95,8:5.")
@click.option("--reports", metavar="MIX", help="States of reports, e.g. DELIVRD:95,UNDELIV:4,none:1.")
@click.option("--rate", type=float, metavar="N/S", help="Parts per second; above it the flow control status.")
@click.option("--lose-answers", type=float, metavar="CHANCE", help="Between 0 and 1, as all chances.")
@click.option("--late-answers", type=float, metavar="CHANCE")
@click.option("--late-by", metavar="MS", help="How late the late ones are; default 30000.")
@click.option("--duplicate-answers", type=float, metavar="CHANCE")
@click.option("--early-reports", type=float, metavar="CHANCE", help="Reports before their answer.")
@click.option("--lose-reports", type=float, metavar="CHANCE")
@click.option("--late-reports", type=float, metavar="CHANCE")
@click.option("--duplicate-reports", type=float, metavar="CHANCE")
@click.option("--no-window", is_flag=True, default=None, help="Reports and replies go out all at once.")
@click.option("--repeat-refused", metavar="MS", help="Refused reports come again after it, until they are taken.")
@click.option("--disconnect-after", type=int, metavar="N", help="Close each connection after N submits.")
@click.option("--disconnect-rst", is_flag=True, default=None, help="Close with RST instead of FIN.")
@click.option("--refuse-login", type=int, metavar="STATUS")
@click.option("--max-connections", type=int, metavar="N")
@click.option(
    "--rule",
    multiple=True,
    metavar="KEY=VALUE,…",
    help="suffix=0001,report=UNDELIV or contains=TEST,answer=8; may be repeated.",
)
@click.option("--token", "token_pattern", metavar="REGEX", help="Count this mark in texts.")
@click.option("--replay", type=click.Path(exists=True, dir_okay=False), metavar="FILE",
              help="Do again what the carrier of this recording did (`smsgwctl channel record`).")  # fmt: skip
@click.option("--replay-speed", type=float, metavar="N", help="N times as fast as it was.")
@click.option("--access-code", metavar="DIGITS", help="Of your channel, for replayed messages from phones.")
@click.option("--record", metavar="FILE", help="Record the exchange into a new file, masked (one carrier).")
@click.option("--record-seconds", type=float, metavar="N", help="At most so long; default an hour.")
@click.option("--record-mb", type=float, metavar="N", help="At most so much; default 64.")
@click.option("--log", metavar="FILE", help="Append every PDU as a JSON line.")
@click.option("--hex", "octets", is_flag=True, help="With the octets of each PDU in the log.")
@click.option("--seed", type=int, help="Repeat the same dice.")
@click.option("--attached", is_flag=True, help="End with standard input: with whoever sends the commands.")
def simulate(scenario: Path | None, octets: bool, attached: bool, **flags: Any) -> None:
    """Run simulated carriers until interrupted.

    Without a SCENARIO and without a carrier's flag: CMPP and SMPP, on 127.0.0.1:7890 and 127.0.0.1:2775.
    Behaviour flags apply to all carriers and go before the scenario file.

    One JSON object a line goes to standard output: where the carriers listen, what commands bring, and the
    summary at the end. Commands are JSON objects, one a line, on standard input:
    {"do": "mo", "source": "13800138000", "destination": "10690001", "text": "TD"}; the others are counts, messages,
    set, disconnect, pause, resume, quit. SIGUSR1 prints the counts.
    """
    if not structlog.is_configured():
        structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    try:
        simulator = Simulator(_scenario(scenario, flags), octets=octets)
    except ScenarioError as error:
        for line in error.errors:
            click.echo(line, err=True)
        sys.exit(2)
    except OSError as error:
        click.echo(f"log: {error}" if flags["log"] else str(error), err=True)
        sys.exit(2)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        sys.exit(runner.run(_run(simulator, attached=attached)))


def _loop_factory() -> Any:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def _scenario(path: Path | None, flags: Mapping[str, Any]) -> Scenario:
    data = read_toml(path) if path is not None else {}
    tables = data.setdefault("carrier", [])
    if not isinstance(tables, list):
        raise ScenarioError(["carrier: a list of tables is wanted"])
    asked = [(protocol, listen) for protocol in PROTOCOLS for listen in flags[protocol]]
    recorded = _recorded(flags["replay"]) if flags["replay"] else ""
    if not asked and path is None:
        asked = [(recorded[:4], _PORTS[recorded[:4]])] if recorded else list(_DEFAULTS)
    for number, (protocol, listen) in enumerate(asked, 1):
        name = protocol if len(asked) == 1 or (protocol, listen) in _DEFAULTS else f"{protocol}-{number}"
        table = {
            "name": name,
            "protocol": protocol,
            "listen": listen,
            "user": flags["user"],
            "password": flags["password"],
        }
        if protocol == "sgip" and flags["deliver_to"]:
            table["deliver_to"] = flags["deliver_to"]
        if protocol == "smpp":
            table |= {key: flags[key] for key in ("tls_cert", "tls_key") if flags[key] is not None}
        tables.append(table)
    if (flags["replay"] or flags["record"]) and len(tables) != 1:
        raise ScenarioError(["--replay and --record are for one carrier; in a scenario write `replay`, `record`"])
    over = {key: flags[key] for key in (*_BEHAVIOUR, *_OWN) if flags[key] is not None}
    if recorded == "cmpp20":
        over["cmpp_version"] = "2.0"
    if recorded == "smgp13":
        over["smgp_version"] = "1.3"
    rules = [_rule(written) for written in flags["rule"]]
    for table in tables:
        if isinstance(table, dict):
            table |= over
            if rules:
                table["rule"] = [*rules, *table.get("rule", [])]
    data |= {key: flags[key] for key in ("log", "seed") if flags[key] is not None}
    return parse_scenario(data)


def _recorded(file: str) -> str:
    """The protocol of a recording."""
    try:
        with Path(file).open("rb") as lines:
            return read(itertools.islice(lines, 1)).protocol
    except (RecordingError, OSError) as error:
        raise ScenarioError([f"--replay: {file}: {error}"]) from error


def _rule(written: str) -> dict[str, Any]:
    rule: dict[str, Any] = {}
    for pair in written.split(","):
        key, equals, value = pair.partition("=")
        if not equals:
            raise ScenarioError([f"--rule: key=value is wanted, not {pair!r}"])
        key = key.strip().replace("-", "_")
        if key == "answer":
            try:
                rule[key] = int(value, 0)
            except ValueError:
                raise ScenarioError([f"--rule: answer: a number is wanted, not {value!r}"]) from None
        elif key == "lose_answer":
            rule[key] = value.strip().lower() in ("1", "true", "yes")
        else:
            rule[key] = value.strip()
    return rule


def _say(event: str, **what: Any) -> None:
    click.echo(json.dumps({"event": event, **what}, ensure_ascii=False))
    sys.stdout.flush()


async def _run(simulator: Simulator, *, attached: bool) -> int:
    try:
        await simulator.start()
    except OSError as error:
        click.echo(f"cannot listen: {error}", err=True)
        return 1
    loop = asyncio.get_running_loop()
    done = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, done.set)
    loop.add_signal_handler(signal.SIGUSR1, lambda: _say("counts", **simulator.summary()))

    def obey(line: str) -> None:
        if not line.strip():
            return
        try:
            command = json.loads(line)
            if not isinstance(command, dict):
                raise ValueError("an object is wanted")
            if command.get("do") == "quit":
                done.set()
                return
            _say("done", do=command.get("do"), result=simulator.do(command))
        except ValueError as error:
            _say("error", message=str(error))

    keep_memory()
    _say("ready", carriers=simulator.listeners())
    # A thread, because standard input may be a file or a terminal, which event loops do not read.
    at_end = done.set if attached else None
    threading.Thread(target=_read_commands, args=(loop, obey, at_end), name="commands", daemon=True).start()
    await done.wait()
    await simulator.stop()
    _say("summary", **simulator.summary())
    return 0


def _read_commands(loop: asyncio.AbstractEventLoop, obey: Any, at_end: Callable[[], None] | None) -> None:
    # Closed or missing input only means that no commands come, if it is not said to mean more; the loop may end while a
    # line is read.
    with contextlib.suppress(OSError, ValueError, RuntimeError):
        for line in sys.stdin:
            loop.call_soon_threadsafe(obey, line)
    if at_end is not None:
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(at_end)
