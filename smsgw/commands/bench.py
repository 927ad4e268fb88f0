"""``smsgwctl bench``: how fast this machine carries messages, and whether each one exactly once."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import uvloop
from click.core import ParameterSource

from smsgw.bench import kannel
from smsgw.bench.load import Load
from smsgw.bench.result import Result
from smsgw.bench.run import MAX_ARRIVALS, Options, Told, run
from smsgw.bench.stage import KINDS, SMPP, Setting
from smsgw.commands.base import Failed, json_option, print_json, what_failed
from smsgw.core.errors import SmsgwError
from smsgw.core.partners import MAX_WINDOW
from smsgw.runtime.attached import attach

PARTNER_BINDS = 4


NICENESS = 10


def _say(told: Told) -> None:
    click.echo(json.dumps(asdict(told)), err=True)


async def _until_told(options: Options, within: float | None) -> Result:
    """The run; SIGTERM and the end of its time end it, and what it has made is cleared away."""
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    async with asyncio.timeout(within):
        return await run(options)


@click.command()
@click.option("--mode", type=click.Choice(["single", "batch", "smpp"]), default="single", show_default=True,
              help="One recipient a post, batches, or a partner by SMPP.")  # fmt: skip
@click.option("--messages", type=click.IntRange(1, 100_000_000), default=20_000, show_default=True)
@click.option("--batch", "batch_size", type=click.IntRange(1, 1000), default=100, show_default=True,
              help="Messages in a batch.")  # fmt: skip
@click.option("--connections", type=click.IntRange(1, 1000), default=50, show_default=True,
              help=f"That post; a partner's binds ({PARTNER_BINDS} unless given).")  # fmt: skip
@click.option(
    "--pullers", type=click.IntRange(1, 16), default=2, show_default=True, help="That pull reports."
)
@click.option("--push", is_flag=True, help="Reports are pushed to a signed webhook instead of being pulled.")
@click.option("--bind-window", type=click.IntRange(1, MAX_WINDOW), default=200, show_default=True,
              help="Submits without an answer, on each of a partner's binds.")  # fmt: skip
@click.option("--rate", type=click.FloatRange(min=0), default=0.0,
              help="Messages a second, evenly spread; 0 is as fast as the answers come.")  # fmt: skip
@click.option("--warm-up", type=click.IntRange(0), default=1000, show_default=True, help="Messages before.")
@click.option("--channels", type=click.IntRange(1, len(KINDS)), default=3, show_default=True,
              help="CMPP 3.0, CMPP 2.0, SMPP 3.4, in this order.")  # fmt: skip
@click.option(
    "--links", type=click.IntRange(1, 64), default=2, show_default=True, help="Connections a channel."
)
@click.option(
    "--window", type=click.IntRange(1, 1000), default=100, show_default=True, help="Of a connection."
)
@click.option("--channel-rate", type=click.IntRange(0, 100_000), default=0, show_default=True,
              help="Submits a second of each channel; 0 is unlimited.")  # fmt: skip
@click.option("--workers", type=click.IntRange(1, 32), default=1, show_default=True, help="Of the daemon.")
@click.option("--recorded", is_flag=True, help="Submits of all channels are recorded for the trace.")
@click.option("--answer-delay", default="5", show_default=True, metavar="MS", help="Of the carriers.")
@click.option("--report-delay", default="100", show_default=True, metavar="MS", help="Of the carriers.")
@click.option("--data", "folder", type=click.Path(path_type=Path, file_okay=False, exists=True),
              help="Where to work; the system's temporary folder without it.")  # fmt: skip
@click.option("--url", default="", help="Use a gateway that runs already, e.g. http://127.0.0.1:8080.")
@click.option(
    "--bearer", default="", help="Key for --url, of an account of its own: all its reports are pulled."
)
@click.option("--against-kannel", is_flag=True,
              help="Put Kannel under the same load afterwards, by single posts: one SMPP channel, pushed.")  # fmt: skip
@click.option("--pinned", is_flag=True,
              help="Beside a transaction that keeps its snapshot: no dead row is cleared away.")  # fmt: skip
@click.option("--progress", is_flag=True, help="How far it is, as a line of JSON a second on standard error.")
@click.option("--modest", is_flag=True,
              help="Other work on this machine goes first: nice, and the first to go without memory.")  # fmt: skip
@click.option("--within", type=click.FloatRange(min=1), help="Give up after so many seconds in all.")
@click.option("--attached", is_flag=True,
              help="End, and remove everything, when standard input ends: with what has begun it.")  # fmt: skip
@json_option
def bench(
    mode: str, messages: int, batch_size: int, connections: int, pullers: int, rate: float, warm_up: int,
    bind_window: int, folder: Path | None, url: str, bearer: str, push: bool, pinned: bool, against_kannel: bool,
    progress: bool, within: float | None, attached: bool, as_json: bool, **setting: Any,
) -> None:  # fmt: skip
    """Measure: post messages, have simulated carriers take and report them, pull the reports.

    Daemon, database, carriers and load generator are processes of their own on this machine, everything durable as
    always (fsync on), in a temporary folder that is removed at the end. Exits 1 unless every message was accepted,
    submitted, reported and pulled exactly once.
    """
    if bool(url) != bool(bearer):
        raise click.UsageError("--url and --bearer belong together")
    if pinned and url:
        raise click.UsageError("--pinned is of a stage of our own, not of --url")
    if push and url:
        raise click.UsageError("--push measures a stage of its own, not --url")
    partner = mode == "smpp"
    if partner and (url or push):
        raise click.UsageError("--mode smpp brings its own gateway and receipts: leave out --url and --push")
    if against_kannel:
        if partner or url:
            raise click.UsageError("--against-kannel compares posts to a stage of our own")
        if not kannel.installed():
            raise Failed("Kannel is not installed here: neither bearerbox nor smsbox is found")
        push, setting["channels"], setting["kinds"] = True, 1, SMPP
    if partner and click.get_current_context().get_parameter_source("connections") is ParameterSource.DEFAULT:
        connections = PARTNER_BINDS
    binds = connections if partner else 0
    stage = Setting(**setting, partner=binds, keep_messages=min(MAX_ARRIVALS, messages + warm_up))
    load = Load(messages, connections, batch_size if mode == "batch" else 0, rate, pullers, stage.prefixes)
    told = _say if progress else None
    window = bind_window if partner else 0
    options = Options(load, stage, warm_up, folder, url, bearer, push, told, window, pinned, against_kannel)
    if stage.modest:
        os.nice(NICENESS)
        with contextlib.suppress(OSError):  # where memory runs out it is this that goes, with all that it begins
            Path("/proc/self/oom_score_adj").write_text("900", "ascii")
    if attached:
        attach()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            result = runner.run(_until_told(options, within))
    except asyncio.CancelledError as exc:
        raise Failed("ended before its time; everything is removed") from exc
    except (OSError, RuntimeError, ValueError, SmsgwError) as exc:
        raise Failed(what_failed(exc) or type(exc).__name__) from exc
    if as_json:
        print_json(result.as_json())
    else:
        click.echo("\n".join(result.lines()))
    if result.counts.problems:
        raise SystemExit(1)
