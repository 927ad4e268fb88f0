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

from smsgw.bench import kannel, report
from smsgw.bench.faults import Kill
from smsgw.bench.load import Load
from smsgw.bench.partner import SPEECHES
from smsgw.bench.profiles import PRESETS
from smsgw.bench.result import Result
from smsgw.bench.run import MAX_ARRIVALS, Options, Told, run
from smsgw.bench.stage import KINDS, SMPP, Setting
from smsgw.commands.base import Failed, command, json_option, print_json, what_failed
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


def _preset(ctx: click.Context, _: click.Parameter, name: str | None) -> str | None:
    """What a profile says holds where nothing else is said."""
    if name is not None:
        ctx.default_map = dict(PRESETS[name].options)
    return name


def _beside(command: click.Command) -> click.Command:
    """Tell of the profiles, each by what it is."""
    width = max(map(len, PRESETS))
    lines = "\n".join(f"  {name:<{width}}  {preset.about}" for name, preset in PRESETS.items())
    command.epilog = f"\b\nProfiles; options that are given beside one go before it:\n{lines}"
    return command


@_beside
@command()
@click.option("--profile", type=click.Choice([*PRESETS]), is_eager=True, expose_value=False, callback=_preset,
              help="A load by name: see below.")  # fmt: skip
@click.option("--mode", type=click.Choice(["single", "batch", "personalised", *SPEECHES]), default="single",
              show_default=True,
              help="One recipient a post, batches, batches of a template, or a partner by SMPP or CMPP.")  # fmt: skip
@click.option("--messages", type=click.IntRange(1, 100_000_000), default=20_000, show_default=True)
@click.option(
    "--batch", "batch_size", type=click.IntRange(1, 1000), default=100, show_default=True, help="Messages in a batch."
)
@click.option("--connections", type=click.IntRange(1, 1000), default=50, show_default=True,
              help=f"That post; a partner's binds ({PARTNER_BINDS} unless given).")  # fmt: skip
@click.option("--pullers", type=click.IntRange(1, 16), default=2, show_default=True, help="That pull reports.")
@click.option("--push", is_flag=True, help="Reports are pushed to a signed webhook instead of being pulled.")
@click.option("--accounts", type=click.IntRange(1, 50), default=1, show_default=True,
              help="That post, each over its part of the connections.")  # fmt: skip
@click.option("--bind-window", type=click.IntRange(1, MAX_WINDOW), default=200, show_default=True,
              help="Submits without an answer, on each of a partner's binds.")  # fmt: skip
@click.option("--rate", type=click.FloatRange(min=0), default=0.0,
              help="Messages a second, evenly spread; 0 is as fast as the answers come.")  # fmt: skip
@click.option(
    "--burst", type=click.FloatRange(min=0), default=0.0, help="Messages a second for a while in the middle; 0: none."
)
@click.option("--burst-seconds", type=click.FloatRange(min=0), default=10.0, show_default=True, help="How long.")
@click.option("--codes", type=click.FloatRange(0, 1000), default=0.0,
              help="One-time codes a second, one a post, beside it; 0: none.")  # fmt: skip
@click.option("--codes-account", is_flag=True, help="They are of an account of their own.")
@click.option("--warm-up", type=click.IntRange(0), default=1000, show_default=True, help="Messages before.")
@click.option("--channels", type=click.IntRange(1, len(KINDS)), default=3, show_default=True,
              help="CMPP 3.0, CMPP 2.0, SMPP 3.4, in this order.")  # fmt: skip
@click.option("--links", type=click.IntRange(1, 64), default=2, show_default=True, help="Connections a channel.")
@click.option("--window", type=click.IntRange(1, 1000), default=100, show_default=True, help="Of a connection.")
@click.option("--channel-rate", type=click.IntRange(0, 100_000), default=0, show_default=True,
              help="Submits a second of each channel; 0 is unlimited.")  # fmt: skip
@click.option("--balanced", is_flag=True, help="Each channel serves all numbers; else those of its carrier.")
@click.option("--workers", type=click.IntRange(1, 32), default=1, show_default=True, help="Of the daemon.")
@click.option("--recorded", is_flag=True, help="Submits of all channels are recorded for the trace.")
@click.option("--answer-delay", default="5", show_default=True, metavar="MS", help="Of the carriers.")
@click.option("--report-delay", default="100", show_default=True, metavar="MS", help="Of the carriers.")
@click.option("--data", "folder", type=click.Path(path_type=Path, file_okay=False, exists=True),
              help="Where to work; the system's temporary folder without it.")  # fmt: skip
@click.option("--url", default="", help="Use a gateway that runs already, e.g. http://127.0.0.1:8080.")
@click.option("--bearer", default="", help="Key for --url, of an account of its own: all its reports are pulled.")
@click.option("--against-kannel", is_flag=True,
              help="Put Kannel under the same load afterwards, by single posts: one SMPP channel, pushed.")  # fmt: skip
@click.option(
    "--pinned", is_flag=True, help="Beside a transaction that keeps its snapshot: no dead row is cleared away."
)
@click.option("--hasty", is_flag=True, help="Do not wait ten seconds for what the database has to tell of itself.")
@click.option("--kill", type=click.Choice([one.value for one in Kill]),
              help="SIGKILL to it in the middle of the load, which goes on.")  # fmt: skip
@click.option("--report", "report_to", type=click.Path(path_type=Path, dir_okay=False, writable=True),
              help="Write the report of acceptance, in Chinese, as a page to print.")  # fmt: skip
@click.option("--progress", is_flag=True, help="How far it is, as a line of JSON a second on standard error.")
@click.option(
    "--modest", is_flag=True, help="Other work on this machine goes first: nice, and the first to go without memory."
)
@click.option("--within", type=click.FloatRange(min=1), help="Give up after so many seconds in all.")
@click.option(
    "--attached", is_flag=True, help="End, and remove everything, when standard input ends: with what has begun it."
)
@json_option
def bench(
    mode: str, messages: int, batch_size: int, connections: int, pullers: int, rate: float, burst: float,
    burst_seconds: float, codes: float, warm_up: int, bind_window: int, folder: Path | None, url: str, bearer: str,
    push: bool, pinned: bool, against_kannel: bool, hasty: bool, kill: str | None,
    report_to: Path | None, progress: bool, within: float | None, attached: bool, as_json: bool, **setting: Any,
) -> None:  # fmt: skip
    """Measure: post messages, have simulated carriers take and report them, pull the reports.

    Daemon, database, carriers and load generator are processes of their own on this machine, everything durable as
    always (fsync on), in a temporary folder that is removed at the end. Exits 1 unless every message was accepted,
    submitted, reported and pulled exactly once, and after an outage of daemon or database that --kill did not cause.
    """
    partner = mode if mode in SPEECHES else ""
    for wrong, why in (
        (bool(url) != bool(bearer), "--url and --bearer belong together"),
        (pinned and url, "--pinned is of a stage of our own, not of --url"),
        (push and url, "--push measures a stage of its own, not --url"),
        (kill and url, "--kill is of a stage of our own, not of --url"),
        (partner and (url or push), f"--mode {mode} brings its own gateway and receipts: leave out --url and --push"),
        (partner and codes, "--codes come beside posts, not beside a partner"),
        (partner and kill, "--kill is for posts: a call is repeated with its key, a submit of a partner has none"),
        (push and kill, "--kill is for reports that are pulled"),
        (mode == "personalised" and url, "--mode personalised needs a template of its own: leave out --url"),
        (setting["accounts"] > connections, "--accounts: each needs a connection"),
        (
            setting["accounts"] > 1 and (url or push or partner or mode == "personalised" or against_kannel),
            "--accounts is for plain posts to a stage of our own, whose reports are pulled",
        ),
        (setting["codes_account"] and not codes, "--codes-account is for --codes"),
        (setting["codes_account"] and (url or push), "--codes-account needs an own stage and reports that are pulled"),
        (report_to and not report_to.parent.is_dir(), "--report: there is no such folder"),
        (against_kannel and (partner or url), "--against-kannel compares posts to a stage of our own"),
        (against_kannel and (codes or kill), "--against-kannel compares plain posts: leave out --codes and --kill"),
    ):
        if wrong:
            raise click.UsageError(why)
    if against_kannel:
        if not kannel.installed():
            raise Failed("Kannel is not installed here: neither bearerbox nor smsbox is found")
        push, setting["channels"], setting["kinds"] = True, 1, SMPP
    if partner and click.get_current_context().get_parameter_source("connections") is ParameterSource.DEFAULT:
        connections = PARTNER_BINDS
    stage = Setting(
        **setting, partner=partner, partner_binds=connections if partner else 0, template=mode == "personalised",
        keep_messages=min(MAX_ARRIVALS, messages + warm_up + (MAX_ARRIVALS if codes else 0)),
    )  # fmt: skip
    load = Load(
        messages, connections, batch_size if mode in ("batch", "personalised") else 0, rate, burst,
        burst_seconds, codes_rate=codes, keyed=kill is not None, pullers=pullers, prefixes=stage.prefixes,
    )  # fmt: skip
    try:
        seconds = load.pace.seconds
    except ValueError as exc:
        raise click.UsageError(str(exc)) from exc
    options = Options(
        load, stage, warm_up, folder, url, bearer, push, told=_say if progress else None,
        partner_window=bind_window if partner else 0, kill=None if kill is None else Kill(kill), pinned=pinned,
        against_kannel=against_kannel, hasty=hasty,
    )  # fmt: skip
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
    if report_to is not None:  # at last: a disk that is full costs nobody the figures
        try:
            report_to.write_text(report.page(rate, seconds, result), "utf-8")
        except OSError as exc:
            raise Failed(what_failed(exc)) from exc
    if result.problems:
        raise SystemExit(1)
