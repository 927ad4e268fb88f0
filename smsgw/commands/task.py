"""``smsgwctl task``: large jobs, jobs at a time, and jobs that come round again."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from smsgw.commands.base import Context, Failed, group, json_option, known, print_json, print_table
from smsgw.commands.hops import chain, hop_options
from smsgw.core import moments
from smsgw.core.ids import CHINA
from smsgw.core.schedule import Windows, written
from smsgw.core.stages import MOST_MINUTES, stage_of
from smsgw.core.words import phrase, reason_of, spoken
from smsgw.node import control_client
from smsgw.platform.accounts import queries as accounts
from smsgw.platform.campaigns import queries, recipients
from smsgw.platform.campaigns.model import STATES

SPANS = "HH:MM-HH:MM, with days before, such as mon-fri 09:00-11:30 14:00-17:00"
"""What ``--window`` takes."""
PATIENCE = 900.0
"""Seconds: a large file is read through before the task exists."""


@group()
def task() -> None:
    """Tasks (发送任务): to the rows of a file, at a time, in windows, again and again."""


def _pairs(_: click.Context, __: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for text in given:
        name, equals, column = text.partition("=")
        if not equals or not name or not column:
            raise click.BadParameter(f"{text}: should be like VARIABLE=…")
        found[name] = column
    return found


def _time(_: click.Context, __: click.Parameter, text: str | None) -> str | None:
    if text is None:
        return None
    try:
        return moments.iso(text).isoformat()
    except ValueError as exc:
        raise click.BadParameter(f"{text}: should be like 2026-05-01T09:00") from exc


def spans(text: str) -> Windows:
    """What ``--window`` says."""
    try:
        return written(text)
    except ValueError as exc:
        raise click.BadParameter(f"{text}: should be {spoken(reason_of(exc), english=True)}") from exc


def _windows(_: click.Context, __: click.Parameter, given: tuple[str, ...]) -> list[dict[str, Any]]:
    return [one for text in given for one in spans(text).plain]


_PERCENT = click.FloatRange(0, 100)


def _shares(_: click.Context, __: click.Parameter, text: str | None) -> list[float] | None:
    if text is None:
        return None
    try:
        return [float(share.strip().removesuffix("%")) for share in text.split(",")]
    except ValueError as exc:
        raise click.BadParameter(f"{text}: should be like 1,10") from exc


def _frequency(_: click.Context, __: click.Parameter, text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    found = re.fullmatch(r"([0-9]{1,3})/([0-9]{1,3})([hd])(?::(.{1,32}))?", text)
    if found is None:
        raise click.BadParameter(f"{text}: should be like 1/7d, 3/12h or 1/7d:TAG")
    unit = {"h": "hour", "d": "day"}[found[3]]
    return {"most": int(found[1]), "every": int(found[2]), "unit": unit, "tag": found[4] or ""}


@task.command("add")
@click.option("--account", required=True)
@click.option("--name", required=True, help=str(phrase("help.task_name")))
@click.option(
    "--file",
    "path",
    type=click.Path(exists=True, dir_okay=False, resolve_path=True, path_type=Path),
    help="CSV or XLSX.",
)
@click.option("--to", "to", multiple=True, help="Number, instead of a file; may be repeated.")
@click.option("--audience", help="Name of an audience of the account, instead of a file.")
@click.option("--text", help="{variable} stands for a row's own value.")
@click.option("--template", type=int, help="Id of an approved template, instead of a text.")
@click.option(
    "--param", "params", multiple=True, callback=_pairs, help="VARIABLE=VALUE, the same for all; may be repeated."
)
@click.option("--phone-column", help="By name or letter; guessed when not given.")
@click.option(
    "--var", "variables", multiple=True, callback=_pairs,
    help="VARIABLE=COLUMN, of an audience VARIABLE=FIELD; may be repeated.",
)  # fmt: skip
@click.option("--sign", default="")
@click.option("--type", "kind", metavar="TYPE", help="Or a kind (smsgwctl kind list); else the template's, or notice.")
@click.option("--callback-url", help="Where the reports go; its host is on the account's list.")
@click.option("--at", "send_at", callback=_time, help="When to begin, such as 2026-05-01T09:00 (China's time).")
@click.option("--expire-at", callback=_time, help="Nothing is sent after this.")
@click.option("--window", "windows", multiple=True, callback=_windows, help=f"{SPANS}; may be repeated.")
@click.option("--every", type=click.Choice(("day", "week", "month")), help="Comes round again; with --time.")
@click.option("--time", "times", multiple=True, help="HH:MM[:SS]; may be repeated.")
@click.option("--on", "days", multiple=True, type=int, help="Weekday 1-7, or day of the month (-1: the last).")
@click.option("--until", callback=_time, help="Not after this.")
@click.option("--rate", type=click.IntRange(0, 10_000), default=0, help="Messages per second.")
@click.option(
    "--frequency",
    callback=_frequency,
    help="N/UNIT[:TAG], such as 1/7d:club: at most 1 in 7 days to a number, over all tasks with the tag.",
)
@click.option("--link", metavar="ID", type=click.IntRange(1), default=None,
              help="A short link, put where the text has {link}: of a personal one a code for each row.")  # fmt: skip
@click.option("--prefer", default="", help="The pool to send through where the account's routing leads there, too.")
@hop_options
@click.option("--emergency", is_flag=True, help=str(phrase("help.task_emergency")))
@click.option("--steps", callback=_shares, help="Percent of all sent to by the end of each step, such as 1,10.")
@click.option(
    "--step-minutes",
    type=click.IntRange(1, MOST_MINUTES),
    default=30,
    show_default=True,
    help="How long a step is watched at least.",
)
@click.option("--step-failed", type=_PERCENT, default=5.0, show_default=True, help="Percent that may fail, …")
@click.option("--step-opted-out", type=_PERCENT, default=1.0, show_default=True, help="… be opt-outs,")
@click.option("--step-complained", type=_PERCENT, default=0.1, show_default=True, help="… or be complained about.")
@click.option("--review", is_flag=True, help="Wait for a reviewer.")
@json_option
async def add(
    ctx: Context, account: str, name: str, path: Path | None, to: tuple[str, ...], audience: str | None,
    text: str | None, template: int | None, params: dict[str, str], phone_column: str | None,
    variables: dict[str, str], sign: str, kind: str | None, callback_url: str | None, send_at: str | None,
    expire_at: str | None, windows: list[dict[str, Any]], every: str | None, times: tuple[str, ...],
    days: tuple[int, ...], until: str | None, rate: int, frequency: dict[str, Any] | None, prefer: str,
    link: int | None,
    hops: list[dict[str, Any]], hop_minutes: int, emergency: bool,
    steps: list[float] | None, step_minutes: int, step_failed: float, step_opted_out: float, step_complained: float,
    review: bool, as_json: bool,
) -> None:  # fmt: skip
    """Make a task through the running daemon."""
    if (path is not None) + bool(to) + (audience is not None) != 1:
        raise click.UsageError("give one of --file, --audience and --to")
    if (text is None) == (template is None):
        raise click.UsageError("give either --text or --template")
    if (every is None) != (not times):
        raise click.UsageError("--every and --time belong together")
    recurring = None
    if every is not None:
        recurring = {"every": every, "at": list(times), "on": list(days) or None, "until": until}
    plan = None
    if steps is not None:
        plan = {"shares": steps, "minutes": step_minutes, "failed": step_failed, "opted_out": step_opted_out,
                "complained": step_complained}  # fmt: skip
    body = {
        "account": account, "name": name, "file": None if path is None else str(path), "to": list(to),
        "audience": audience, "text": text, "template": template, "params": params, "callback_url": callback_url,
        "phone": phone_column, "variables": variables, "sign": sign, "type": kind, "send_at": send_at,
        "expire_at": expire_at, "windows": windows, "recurring": recurring, "rate": rate, "steps": plan,
        "frequency": frequency, "fallback": chain(hops, hop_minutes), "prefer": prefer, "link": link,
        "emergency": emergency, "review": review,
    }  # fmt: skip
    made = await control_client.call(ctx.settings.control_socket, "POST", "/tasks", body, timeout_s=PATIENCE)
    _show(made, as_json)


@task.command("list")
@click.option("--account")
@click.option("--state", type=click.Choice(tuple(STATES)))
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@json_option
async def list_tasks(ctx: Context, account: str | None, state: str | None, limit: int, as_json: bool) -> None:
    """Tasks, newest first, as they were last counted."""
    async with ctx.database() as database:
        names = {view.account.id: view.account.name for view in await accounts.accounts(database)}
        ids = None if account is None else [i for i, n in names.items() if n == account]
        if ids == []:
            raise Failed(f"no account {account}")
        found = await queries.page(database, accounts=ids, states=None if state is None else [state], limit=limit)
    lines = []
    for view in found:
        one, sums = view.task, view.progress
        lines.append(
            {
                "task": str(one.id), "name": one.name, "account": names.get(one.account_id), "state": one.state,
                "reason": one.reason, "valid": one.valid, "pending": sums.pending, "done": sums.done,
                "next_at": one.next_at, "created_at": one.created_at,
            }
        )  # fmt: skip
    if as_json:
        print_json(lines)
    else:
        print_table(
            lines,
            ("task", "name", "account", "state", "reason", "valid", "pending", "done", "next_at", "created_at"),
            empty="no tasks",
        )


def _known(task_id: int) -> AbstractContextManager[None]:
    return known(f"task {task_id}", "smsgwctl task list")


def _command(verb: str, text: str) -> None:
    @task.command(verb, help=text)
    @click.argument("task_id", type=int)
    @json_option
    async def run(ctx: Context, task_id: int, as_json: bool) -> None:
        body = {"task": task_id}
        with _known(task_id):
            answer = await control_client.call(
                ctx.settings.control_socket, "POST", f"/tasks/{verb}", body, timeout_s=120.0
            )
        _show(answer, as_json)


for _verb, _text in (
    ("show", "A task and how far it is, counted now."),
    ("pause", "Hold a task, and what of it no channel has claimed."),
    ("resume", "Go on with a paused task."),
    ("release", "Begin the next step of a task that sends in steps, now or in spite of a halt."),
    ("cancel", "End a task for good; what no carrier has is cancelled and refunded."),
    ("pass", "Let a task that waits for review begin."),
):
    _command(_verb, _text)


@task.command("reject")
@click.argument("task_id", type=int)
@click.option("--reason", required=True)
@json_option
async def reject(ctx: Context, task_id: int, reason: str, as_json: bool) -> None:
    """End a task that waits for review."""
    body = {"task": task_id, "reason": reason}
    with _known(task_id):
        answer = await ctx.daemon("POST", "/tasks/reject", body)
    _show(answer, as_json)


@task.command("report")
@click.argument("task_id", type=int)
@click.option("--run", "run_number", type=click.IntRange(1), help="Of a task that comes round; else the latest.")
@click.option("--output", "-o", type=click.File("wb"), default="-", show_default="standard output")
async def report(ctx: Context, task_id: int, run_number: int | None, output: Any) -> None:
    """What has become of each recipient, as CSV."""
    await _table(ctx, task_id, run_number, output, errors=False)


@task.command("errors")
@click.argument("task_id", type=int)
@click.option("--run", "run_number", type=click.IntRange(1), help="Of a task that comes round; else the latest.")
@click.option("--output", "-o", type=click.File("wb"), default="-", show_default="standard output")
async def errors(ctx: Context, task_id: int, run_number: int | None, output: Any) -> None:
    """The rows that got no message, with the reason, as CSV."""
    await _table(ctx, task_id, run_number, output, errors=True)


async def _table(ctx: Context, task_id: int, run_number: int | None, output: Any, *, errors: bool) -> None:
    async with ctx.database() as database:
        found = await queries.get(database, task_id, accounts=None)
        if found is None:
            raise Failed(f"no task {task_id}; smsgwctl task list shows them")
        run = found.run if run_number is None else run_number
        pieces: AsyncIterator[bytes] = (
            recipients.errors(database, found, run)
            if errors
            else recipients.report(database, found, run, await queries.fed(database, task_id, run))
        )
        async for piece in pieces:
            output.write(piece)


def _show(answer: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(answer)
        return
    why = f"  ({answer['reason']} {answer['detail'] or ''})" if answer["reason"] else ""
    click.echo(f"task     {answer['task']}  {answer['name']}")
    click.echo(f"state    {answer['state']}({answer['state_name']}){why}")
    problems = ", ".join(f"{n} {code}" for code, n in answer["problems"].items()) or "none"
    click.echo(f"rows     {answer['total']}, of them valid {answer['valid']}; problems: {problems}")
    counts = ", ".join(f"{n} {status}" for status, n in answer["counts"].items()) or "none yet"
    click.echo(f"run {answer['run']}    pending {answer['pending']}; messages: {counts}")
    if clicks := answer.get("clicks"):
        click.echo(f"links    clicked by {clicks['clicked']}, not by {clicks['unclicked']}")
    if answer["steps"]:
        now = stage_of(answer["stages"])
        shares = ", ".join(f"{share:g} %" for share in answer["steps"]["shares"])
        where = "not begun" if now is None else f"step {now.stage}, up to row {now.end}"
        if now is not None and now.halted:
            where += f"; halted ({now.halted}): smsgwctl task release {answer['task']} goes on in spite of it"
        click.echo(f"steps    {shares}, then all; {answer['steps']['minutes']} min each; {where}")
    if answer["next_at"]:
        at = datetime.fromisoformat(answer["next_at"]).astimezone(CHINA)
        click.echo(f"next     {at:%Y-%m-%d %H:%M:%S}")
