"""``smsgwctl block``, ``complaint``, ``access-code``, ``setting``: who gets nothing, who complained, which numbers we
send from, and what operators may adjust."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click

from smsgw.commands.account import account_id
from smsgw.commands.base import Context, Failed, group, json_option, print_json, print_rows, print_table
from smsgw.core import code_plan, settings as core_settings
from smsgw.core.blocklist import MANUAL, SOURCES, Scope
from smsgw.core.numbers import InvalidNumber, mask, normalize
from smsgw.platform.accounts import queries as account_queries, service as account_service
from smsgw.platform.accounts.extensions import MATCHED_DAYS
from smsgw.platform.channels import service as channel_service
from smsgw.platform.codes import queries as codes
from smsgw.platform.handles import Database
from smsgw.platform.lists import complaints, queries, service
from smsgw.platform.lists.model import BlockEntry
from smsgw.platform.paging import Window
from smsgw.platform.settings import queries as settings_queries, service as settings_service
from smsgw.runtime import clock

MAX_IMPORT = 2_000_000
TYPES = click.Choice(("otp", "notice", "marketing"))


def _number(text: str) -> str:
    try:
        return normalize(text)
    except InvalidNumber as exc:
        raise Failed(f"{text}: {exc}") from exc


async def _scope(database: Database, account: str, kind: str, sign: str) -> Scope:
    if not account:
        return Scope(0, kind, sign)
    return Scope(await account_id(database, account), kind, sign)


# --- block list ------------------------------------------------------------------------------------------------------


@group()
def block() -> None:
    """Block list (黑名单): numbers that get nothing, or nothing of an account, type or signature."""


def _scope_options(function: Any) -> Any:
    for option in (
        click.option("--account", default="", help="Only messages of this account."),
        click.option("--type", "kind", type=TYPES, default=None, help="Only messages of this type."),
        click.option("--sign", default="", help="Only messages with this signature."),
    ):
        function = option(function)
    return function


_entry_options = (
    click.option("--source", type=click.Choice(SOURCES), default=MANUAL, show_default=True),
    click.option("--reason", default="", help="Why."),
    click.option("--days", type=click.IntRange(1, 36_500), default=None, help="For so long; without: for ever."),
)


def _entry(function: Any) -> Any:
    for option in reversed(_entry_options):
        function = option(function)
    return _scope_options(function)


def _until(days: int | None) -> datetime | None:
    return clock.now() + timedelta(days=days) if days else None


@block.command("add")
@click.argument("numbers", nargs=-1, required=True, metavar="NUMBER...")
@_entry
async def block_add(
    ctx: Context, numbers: tuple[str, ...], source: str, reason: str, days: int | None, account: str,
    kind: str | None, sign: str,
) -> None:  # fmt: skip
    """Block numbers. Conditions that are given must all hold; without any the block is total."""
    wanted = [_number(n) for n in numbers]
    async with ctx.database() as database:
        scope = await _scope(database, account, kind or "", sign)
        await service.block(ctx.change(database), wanted, scope, source, reason, expires_at=_until(days), tell=True)
    await ctx.tell_daemon()
    click.echo(f"{len(wanted)} number(s) blocked")


@block.command("import")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@_entry
async def block_import(
    ctx: Context, file: Path, source: str, reason: str, days: int | None, account: str, kind: str | None, sign: str
) -> None:
    """Block the numbers of a file: the first column of each line, UTF-8. Nothing is done when a line is wrong.

    No account is told of opt-outs that are imported."""
    wanted: list[str] = []
    problems: list[str] = []
    try:
        with file.open(encoding="utf-8-sig") as stream:
            for line, text in enumerate(stream, 1):
                cell = text.replace("\t", ",").split(",")[0].strip().strip('"')
                if not cell or (line == 1 and not any(c.isdigit() for c in cell)):
                    continue  # blank, or a heading
                try:
                    wanted.append(normalize(cell))
                except InvalidNumber:
                    problems.append(f"line {line}: {cell[:40]}")
                if len(problems) > 20 or len(wanted) > MAX_IMPORT:
                    break
    except UnicodeDecodeError as exc:
        raise Failed(f"{file} is not UTF-8: {exc}") from exc
    if problems:
        raise Failed("\n".join(["nothing was imported; not telephone numbers:", *problems[:20]]))
    if len(wanted) > MAX_IMPORT:
        raise Failed(f"at most {MAX_IMPORT} numbers")
    async with ctx.database() as database:
        scope = await _scope(database, account, kind or "", sign)
        await service.block(ctx.change(database), wanted, scope, source, reason or file.name, expires_at=_until(days))
    await ctx.tell_daemon()
    click.echo(f"{len(wanted)} number(s) blocked")


@block.command("remove")
@click.argument("number")
@_scope_options
@click.option("--all", "everything", is_flag=True, help="All entries of the number, whatever their conditions.")
@click.option("--reason", default="", help="Why.")
async def block_remove(
    ctx: Context, number: str, account: str, kind: str | None, sign: str, everything: bool, reason: str
) -> None:
    """Take an entry off the list: that with exactly these conditions."""
    async with ctx.database() as database:
        scope = None if everything else await _scope(database, account, kind or "", sign)
        gone = await service.unblock(ctx.change(database), _number(number), scope, reason=reason)
    if not gone:
        raise Failed(f"no such entry; see: smsgwctl block find {number}")
    await ctx.tell_daemon()
    click.echo(f"{gone} entries removed")


_COLUMNS = ("number", "scope", "source", "reason", "actor", "since", "expires_at")


def _line(entry: BlockEntry, *, whole: bool) -> dict[str, Any]:
    conditions = {"account": entry.account, "type": entry.type, "sign": entry.sign}
    scope = " ".join(f"{k}={v}" for k, v in conditions.items() if v) or "global"
    return {
        "number": entry.number if whole else mask(entry.number), "scope": scope, "source": entry.source,
        "reason": entry.reason, "actor": entry.actor, "since": entry.since, "expires_at": entry.expires_at,
    }  # fmt: skip


@block.command("find")
@click.argument("number")
@json_option
async def block_find(ctx: Context, number: str, as_json: bool) -> None:
    """All entries of a number."""
    async with ctx.database() as database:
        found = await queries.find(database, _number(number), accounts=None)
    lines = [_line(entry, whole=True) for entry in found]
    print_rows(lines, _COLUMNS, as_json, empty="not on the list")


@block.command("list")
@click.option("--source", type=click.Choice(SOURCES), default=None)
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, show_default=True)
@click.option("--unmask", is_flag=True, help="Show whole numbers.")
@json_option
async def block_list(ctx: Context, source: str | None, limit: int, unmask: bool, as_json: bool) -> None:
    """The newest entries, and how many there are."""
    async with ctx.database() as database:
        counts = await queries.count(database)
        newest = await queries.page(database, accounts=None, source=source, limit=limit)
    lines = [_line(entry, whole=unmask) for entry in newest]
    if as_json:
        print_json({"counts": counts, "entries": lines})
        return
    click.echo(", ".join(f"{n} {name}" for name, n in sorted(counts.items())) or "0 entries")
    print_table(lines, _COLUMNS, empty="nothing is blocked")


# --- complaints ------------------------------------------------------------------------------------------------------


_STATES = click.Choice([state.value for state in complaints.State])


@group()
def complaint() -> None:
    """Register of complaints (投诉登记)."""


@complaint.command("add")
@click.argument("number")
@click.option("--sign", default="", help="Signature complained about; the newest message's when not given.")
@click.option("--channel", default="", help="Channel it came through; the newest message's when not given.")
@click.option("--note", default="", help="What was said.")
@click.option("--from", "origin", type=click.Choice([o.value for o in complaints.Origin]),
              default=complaints.Origin.USER.value,
              show_default=True, help="Who has brought it to us.")  # fmt: skip
@click.option("--reference", default="", help="Its number there.")
@click.option("--days", type=click.IntRange(1, complaints.MOST_DUE_DAYS), default=complaints.DUE_DAYS,
              show_default=True, help="Until when it has to be answered.")  # fmt: skip
@click.option("--message", type=click.IntRange(1), default=None, help="Id of the message; the newest when not given.")
@click.option("--no-block", is_flag=True, help="Do not block the number for marketing.")
@json_option
async def complaint_add(
    ctx: Context, number: str, sign: str, channel: str, note: str, origin: str, reference: str, days: int,
    message: int | None, no_block: bool, as_json: bool,
) -> None:  # fmt: skip
    """Enter a complaint; the number gets no marketing any more."""
    e164 = _number(number)
    async with ctx.database() as database:
        entered = await complaints.enter(
            ctx.change(database), e164, sign=sign, channel=channel, note=note, block_number=not no_block,
            origin=complaints.Origin(origin), reference=reference, due_days=days, message_id=message,
        )  # fmt: skip
    await ctx.tell_daemon()
    if as_json:
        print_json(asdict(entered))
    else:
        about = f"message {entered.message_id}" if entered.message_id else "no message of ours"
        click.echo(f"complaint {entered.id} entered: {about}, signature {entered.sign or '-'}")


def _told(one: complaints.Complaint) -> dict[str, Any]:
    return asdict(one) | {
        "number": mask(one.number), "message_id": str(one.message_id or ""), "late": one.late(clock.now())
    }  # fmt: skip


@complaint.command("list")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@click.option("--state", type=_STATES, default=None)
@click.option("--late", is_flag=True, help="Only those that nobody has answered in time.")
@json_option
async def complaint_list(ctx: Context, limit: int, state: str | None, late: bool, as_json: bool) -> None:
    """The newest complaints."""
    wanted = complaints.WantedComplaints(state=state or "", due=complaints.Due.OVER if late else "")
    async with ctx.database() as database:
        newest = await complaints.search(database, wanted, Window(limit=limit), accounts=None)
    lines = [_told(one) for one in newest.rows]
    if as_json:
        print_json(lines)
    else:
        columns = ("id", "at", "state", "due_at", "number", "account", "sign", "channel", "message_id", "note")
        print_table(lines, columns, empty="no complaints")


@complaint.command("show")
@click.argument("id_", metavar="ID", type=click.IntRange(1))
@json_option
async def complaint_show(ctx: Context, id_: int, as_json: bool) -> None:
    """A complaint and what was done about it."""
    async with ctx.database() as database:
        one = await complaints.one(database, id_, accounts=None)
        if one is None:
            raise Failed(f"there is no complaint {id_}")
        steps = [asdict(step) for step in await complaints.steps(database, one)]
    if as_json:
        print_json(_told(one) | {"steps": steps})
        return
    for key, value in _told(one).items():
        click.echo(f"{key}: {value if value not in (None, '') else '-'}")
    print_table(steps, ("at", "actor", "state", "said"), empty="no steps")


@complaint.command("step")
@click.argument("id_", metavar="ID", type=click.IntRange(1))
@click.argument("state", type=_STATES)
@click.argument("said")
async def complaint_step(ctx: Context, id_: int, state: str, said: str) -> None:
    """Write down what was done about a complaint; with ``answered`` it is what was replied."""
    async with ctx.database() as database:
        await complaints.step(ctx.change(database), id_, complaints.State(state), said)
    click.echo(f"complaint {id_}: {state}")


@complaint.command("rates")
@json_option
async def complaint_rates(ctx: Context, as_json: bool) -> None:
    """Complaints per million sent, by channel and signature, against the ceiling."""
    async with ctx.database() as database:
        limits = await settings_queries.current(database)
        found = await queries.complaint_rates(database, limits)
    lines = [
        {
            "of": "sign" if r.channel_id is None else "channel", "name": r.name, "complaints": r.complaints,
            "sent": r.sent, "per_million": round(r.per_million, 1), "ceiling": limits.complaint_ceiling,
            "marketing": "stopped" if r.over(limits) else "open",
        }
        for r in found
    ]  # fmt: skip
    if as_json:
        print_json(lines)
    else:
        columns = ("of", "name", "complaints", "sent", "per_million", "ceiling", "marketing")
        print_table(lines, columns, empty="no complaints")


# --- access codes ----------------------------------------------------------------------------------------------------


@group("access-code")
def access_code() -> None:
    """Numbers that the phones see: access codes of channels, extensions of accounts and signatures (端口号)."""


@access_code.command("move")
@click.option("--channel", default="", help="Give this channel another access code, for all who send through it.")
@click.option("--account", default="", help="Give this account another extension.")
@click.option("--sign", default="", help="With --account: only this signature of it.")
@click.argument("to")
async def access_code_move(ctx: Context, channel: str, account: str, sign: str, to: str) -> None:
    """Move to another number at once; replies to the one before are matched for 30 days."""
    if bool(channel) == bool(account) or (sign and not account):
        raise click.UsageError("give either --channel, or --account (with or without --sign)")
    async with ctx.database() as database:
        if channel:
            before = await channel_service.move_access_code(ctx.change(database), channel, to)
        else:
            owner = await account_queries.id_of(database, account)
            before = await account_service.move_extension(ctx.change(database), owner, sign, to)
    await ctx.tell_daemon()
    click.echo(f"{before or '(none)'} → {to}; replies to the former are matched for {MATCHED_DAYS} days")


@access_code.command("list")
@json_option
async def access_code_list(ctx: Context, as_json: bool) -> None:
    """All codes, then the former ones that are still matched."""
    async with ctx.database() as database:
        lines = [dict(row) for row in await account_queries.codes(database)]
    print_rows(lines, ("kind", "name", "sign", "code", "until"), as_json, empty="no access codes")


def _tell_cut(holders: Sequence[code_plan.Holder]) -> None:
    if codes.cut(holders):
        click.echo(f"only the newest {codes.MOST_LENT} tasks and scenarios were looked at", err=True)


@access_code.command("tree")
@json_option
async def access_code_tree(ctx: Context, as_json: bool) -> None:
    """Extensions of accounts, signatures, tasks and scenarios, each below what it begins with."""
    async with ctx.database() as database:
        holders = await codes.holders(database)
        branches = code_plan.tree(holders)
    _tell_cut(holders)
    lines: list[dict[str, Any]] = []

    def tell(below: list[code_plan.Branch], depth: int) -> None:
        for branch in below:
            digits = branch.digits if as_json else "  " * depth + branch.digits
            lines.extend(
                {"digits": digits, "kind": one.kind, "account": one.account, "sign": one.sign, "title": one.title,
                 "until": one.until} for one in branch.holders
            )  # fmt: skip
            tell(branch.below, depth + 1)

    tell(branches, 0)
    print_rows(lines, ("digits", "kind", "account", "sign", "title", "until"), as_json, empty="no extensions")


@access_code.command("conflicts")
@json_option
async def access_code_conflicts(ctx: Context, as_json: bool) -> None:
    """Where a reply could belong to two, and what else is not plain; exit 1 when something is bad."""
    async with ctx.database() as database:
        holders = await codes.holders(database)
        found = code_plan.conflicts(await codes.access(database), holders)
    _tell_cut(holders)
    lines: list[dict[str, Any]] = [
        {"kind": one.kind, "bad": one.bad, "number": one.number,
         "accounts": sorted({holder.account for holder in one.holders}),
         "channels": sorted({f"{a.channel} {a.code}" for a in one.access})}
        for one in found
    ]  # fmt: skip
    if as_json:
        print_json(lines)
    else:
        told = [{**line, **{key: ", ".join(line[key]) for key in ("accounts", "channels")}} for line in lines]
        print_table(told, ("kind", "bad", "number", "accounts", "channels"), empty="no conflicts")
    if any(one.bad for one in found):
        raise Failed("a reply may find the wrong account")


@access_code.command("free")
@click.option("--length", type=click.IntRange(1, code_plan.LONGEST_EXTENSION), default=2, show_default=True)
@click.option("--under", default="", help="Beginning with these digits.")
@json_option
async def access_code_free(ctx: Context, length: int, under: str, as_json: bool) -> None:
    """Ranges of extensions that nobody has, or had within the time that replies are matched."""
    if under and not (under.isascii() and under.isdigit()):
        raise click.UsageError("--under takes digits")
    async with ctx.database() as database:
        holders = await codes.holders(database)
        found = code_plan.free(holders, length, under)
    _tell_cut(holders)
    lines = [{"first": one.first, "last": one.last, "n": one.n} for one in found]
    print_rows(lines, ("first", "last", "n"), as_json, empty="nothing is free")


# --- settings --------------------------------------------------------------------------------------------------------


@group()
def setting() -> None:
    """Settings that take effect while the daemon runs."""


@setting.command("list")
@json_option
async def setting_list(ctx: Context, as_json: bool) -> None:
    """All settings."""
    async with ctx.database() as database:
        values = asdict(await settings_queries.current(database))
    if as_json:
        print_json(values)
    else:
        defaults = asdict(core_settings.Settings())
        lines = [{"name": n, "value": v, "default": defaults[n]} for n, v in values.items()]
        print_table(lines, ("name", "value", "default"), empty="")


@setting.command("set")
@click.argument("name")
@click.argument("values", nargs=-1, required=True, metavar="VALUE...")
async def setting_set(ctx: Context, name: str, values: tuple[str, ...]) -> str:
    """Change a setting; several values make a list (optout_words R TD 退订)."""
    value: Any = list(values)
    if name != "optout_words":
        try:
            value = json.loads(values[0])
        except ValueError:
            value = values[0]
    async with ctx.database() as database:
        holds = await settings_service.put(ctx.change(database), name, value)
    await ctx.tell_daemon()
    if not holds:
        hours = core_settings.WISH_HOURS
        return f"asked for; it holds once a second person sets {name} to the same within {hours} hours"
    return f"{name} is {' '.join(values)}"
