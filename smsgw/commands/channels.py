"""``smsgwctl channel``."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

import click

from smsgw.channels import profiles
from smsgw.channels.wire.recording import MAX_BYTES, MAX_SECONDS
from smsgw.commands.base import (
    Context,
    Failed,
    ask_password,
    group,
    json_option,
    known,
    password_options,
    print_json,
    print_table,
)
from smsgw.core.states import FINAL, STATUS, PartState
from smsgw.core.words import phrase
from smsgw.node.control_client import DaemonAway
from smsgw.platform.channels import checks, queries, recordings, service, throttles, versions
from smsgw.platform.handles import Database
from smsgw.platform.routing import following
from smsgw.runtime import clock

PROTOCOLS = ("cmpp30", "cmpp20", "smpp34", "sgip12", "smgp30")
CARRIERS = ("CMCC", "CUCC", "CTCC", "CBN", "INTL")


@group()
def channel() -> None:
    """Carrier channels (通道)."""


def _carriers(text: str) -> list[str]:
    names = [name.strip().upper() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in CARRIERS:
            raise click.BadParameter(f"{name}: known are {', '.join(CARRIERS)}", param_hint="--carrier")
    return names


def _rate(text: str) -> int:
    value = text.removesuffix("/s")
    if not re.fullmatch("[0-9]{1,9}", value):
        raise click.BadParameter(
            f"{text}: give a number of submits per second, such as 400 or 400/s", param_hint="--rate"
        )
    return int(value)


def _options(function: Any) -> Any:
    for option in (
        click.option("--protocol", type=click.Choice(PROTOCOLS)),
        click.option("--host"),
        click.option("--port", type=click.IntRange(1, 65535)),
        click.option("--user", "username", help=str(phrase("help.user"))),
        password_options,
        click.option("--access-code", help=str(phrase("help.access_code"))),
        click.option("--connections", type=click.IntRange(1, 64)),
        click.option("--window", type=click.IntRange(1, 1000), help="Submits without an answer, per connection."),
        click.option("--rate", help="Submits per second over all connections, N or N/s; 0 is unlimited."),
        click.option("--carrier", "carriers", help="Carriers it serves, by comma; all when not given."),
        click.option("--unknown-policy", type=click.Choice(("hold", "hold_short", "resend"))),
        click.option("--profile", help="Carrier deviations as JSON; keys in docs/interop.md."),
    ):
        function = option(function)
    return function


def _fields(given: dict[str, Any]) -> dict[str, Any]:
    fields = {key: value for key, value in given.items() if value is not None}
    if "rate" in fields:
        fields["rate"] = _rate(fields["rate"])
    if "carriers" in fields:
        fields["carriers"] = _carriers(fields["carriers"])
    if "profile" in fields:
        try:
            fields["profile"] = json.loads(fields["profile"])
        except ValueError as exc:
            raise click.BadParameter(f"not JSON: {exc}", param_hint="--profile") from exc
        profiles.parse(fields["profile"])
    return fields


@channel.command("add")
@click.argument("name")
@_options
@click.option("--priority-lanes", is_flag=True, hidden=True, help="Lanes are always on.")
@json_option
async def channel_add(ctx: Context, name: str, priority_lanes: bool, as_json: bool, **given: Any) -> None:
    """Make a channel; it connects at once when a daemon runs."""
    fields = _fields(given)
    missing = [o for o in ("protocol", "host", "port", "username") if o not in fields]
    if missing:
        names = ", ".join("--user" if o == "username" else f"--{o}" for o in missing)
        raise click.UsageError(f"needed: {names}")
    if "password" not in fields:
        fields["password"] = ask_password()
    profiles.parse(fields.get("profile", {}), fields["protocol"])
    sealer = ctx.sealer()
    async with ctx.database() as database:
        channel_id = await service.add(ctx.change(database), sealer, name, fields)
    await ctx.tell_daemon()
    if as_json:
        print_json({"id": channel_id, "name": name})
    else:
        click.echo(f"channel {name} made (id {channel_id})")


_reason = click.option("--reason", default="", help="Why; kept with the version.")


@channel.command("set")
@click.argument("name")
@_options
@_reason
async def channel_set(ctx: Context, name: str, reason: str, **given: Any) -> str:
    """Change a channel; window and rate take effect without reconnecting."""
    fields = _fields(given)
    if not fields:
        raise click.UsageError("nothing to change; see --help")
    return await _change(ctx, name, fields, f"has new settings: {', '.join(fields)}", reason)


def _known(name: str) -> AbstractContextManager[None]:
    return known(f"channel {name}", "smsgwctl channel list")


async def _id_of(database: Database, name: str) -> int:
    with _known(name):
        return await queries.id_of(database, name)


def _version_known(name: str, number: int) -> AbstractContextManager[None]:
    return known(f"version {number} of channel {name}", f"smsgwctl channel versions {name}")


async def _change(ctx: Context, name: str, fields: dict[str, Any], now: str, reason: str = "") -> str:
    """Make it so; a line that says what is so ``now``, or for whom it waits."""
    sealer = ctx.sealer()
    async with ctx.database() as database:
        if fields.keys() & {"profile", "protocol"}:
            await _check_profile(database, name, fields)
        with _known(name):
            made = await service.edit(ctx.change(database), sealer, name, fields, reason=reason)
    await ctx.tell_daemon()
    return _made(name, made, now)


def _made(name: str, made: versions.Made | None, now: str) -> str:
    if made is not None and made.waiting:
        return f"version {made.number} of {name} waits for somebody else: smsgwctl channel approve {name} {made.number}"
    return f"{name} {now}"


async def _check_profile(database: Database, name: str, fields: dict[str, Any]) -> None:
    """What the protocol cannot do without, or with, is said now and not when the channel starts."""
    for one in await queries.channels(database, name):
        profiles.parse(fields.get("profile", one.profile), fields.get("protocol", one.protocol))


@channel.command("versions")
@click.argument("name")
@json_option
async def channel_versions(ctx: Context, name: str, as_json: bool) -> None:
    """What a channel was set to, newest first: who, when and why."""
    async with ctx.database() as database:
        found = await versions.of(database, await _id_of(database, name))
    lines = [
        {"number": v.number, "state": v.state, "by": v.made_by, "at": v.made_at, "reason": v.reason,
         "decided_by": v.decided_by, "answer": v.answer, "changes": _changes(found, v)}
        for v in found
    ]  # fmt: skip
    if as_json:
        print_json(lines)
    else:
        columns = ("number", "state", "by", "at", "reason", "decided_by", "changes")
        print_table(lines, columns, empty="no versions yet")


def _changes(found: list[versions.Version], one: versions.Version) -> str:
    """What is otherwise than in the version that it was made from; empty for those whose base is not listed."""
    base = next((v for v in found if v.number == one.base), None)
    if base is None:
        return ""
    return ", ".join(
        f"{d.field} ***" if d.secret else f"{d.field} {d.before} -> {d.after}" for d in versions.difference(base, one)
    )


@channel.command("approve")
@click.argument("name")
@click.argument("number", type=click.IntRange(1))
@_reason
async def channel_approve(ctx: Context, name: str, number: int, reason: str) -> str:
    """Put a version in force that waits; not one's own. Nodes follow without a restart."""
    async with ctx.database() as database:
        channel_id = await _id_of(database, name)
        with _version_known(name, number):
            await versions.approve(ctx.change(database), channel_id, number, reason)
    await ctx.tell_daemon()
    return f"version {number} of {name} is in force"


@channel.command("reject")
@click.argument("name")
@click.argument("number", type=click.IntRange(1))
@_reason
async def channel_reject(ctx: Context, name: str, number: int, reason: str) -> str:
    """Refuse a version that waits, or take one's own back."""
    async with ctx.database() as database:
        channel_id = await _id_of(database, name)
        with _version_known(name, number):
            await versions.reject(ctx.change(database), channel_id, number, reason)
    return f"version {number} of {name} is refused; what was in force stays"


@channel.command("rollback")
@click.argument("name")
@click.argument("number", type=click.IntRange(1))
@_reason
@click.option("--seen", type=click.IntRange(0), help="The version in force when you looked; refused when another is.")
async def channel_rollback(ctx: Context, name: str, number: int, reason: str, seen: int | None) -> str:
    """Set a channel to what an earlier version says, its password included; a new version as any.

    At a terminal it shows what would be otherwise, and asks; elsewhere --seen says what was looked at.
    """
    async with ctx.database() as database:
        channel_id = await _id_of(database, name)
        if seen is None:
            seen = await _looked_at(database, name, channel_id, number)
        with _version_known(name, number):
            made = await service.roll_back(ctx.change(database), channel_id, number, reason=reason, seen=seen)
    await ctx.tell_daemon()
    return _made(name, made, f"is set as in version {number}")


async def _looked_at(database: Database, name: str, channel_id: int, number: int) -> int:
    """The version in force, once somebody at the terminal has said yes to the differences."""
    if not sys.stdin.isatty():
        raise click.UsageError(f"needed: --seen, the version in force; see: smsgwctl channel versions {name}")
    now = await versions.active(database, channel_id)
    before, after = await versions.one(database, channel_id, now), await versions.one(database, channel_id, number)
    if after is None:
        raise Failed(f"{name} has no version {number}")
    for one in versions.difference(before, after):
        click.echo(f"{one.field}: ***" if one.secret else f"{one.field}: {one.before} -> {one.after}")
    click.confirm(f"{name}: back from version {now} to {number}?", abort=True)
    return now


@channel.command("start")
@click.argument("name")
async def channel_start(ctx: Context, name: str) -> str:
    """Connect and send."""
    return await _change(ctx, name, {"desired": "started"}, "is started")


@channel.command("stop")
@click.argument("name")
async def channel_stop(ctx: Context, name: str) -> str:
    """Wait for answers under way, log out; what was never written flows to other channels."""
    return await _change(ctx, name, {"desired": "stopped"}, "is stopped once what is under way is answered")


@channel.command("drain")
@click.argument("name")
async def channel_drain(ctx: Context, name: str) -> str:
    """Write nothing new, and stay connected for the reports of what was written (before a removal)."""
    return await _change(ctx, name, {"desired": "draining"}, "is drained: nothing new is written, reports are received")


@channel.command("replace")
@click.argument("name")
@click.argument("by")
@click.option("--note", default="", help="What the change is for.")
async def channel_replace(ctx: Context, name: str, by: str, note: str) -> None:
    """Give everything that goes by a channel to another one, in one step: its place in every pool, and the accounts and
    signatures that were given to it. What waits follows; the former is drained, for reports and replies, or stays
    stopped. Back again: start it, then roll the routes back."""
    async with ctx.database() as database:
        with known(f"channel {name}, or no channel {by}", "smsgwctl channel list"):
            made = await following.move_channel(ctx.change(database), name, by, note or f"{by} for {name}")
    await ctx.tell_daemon()
    if made.waits:
        click.echo(f"it waits for somebody else: smsgwctl route approve {made.waits}; then drain {name}")
    else:
        click.echo(
            f"{by} has the place of {name}, which is drained (or still stopped); what waits follows with job {made.job}"
        )


@channel.command("remove")
@click.argument("name")
async def channel_remove(ctx: Context, name: str) -> str:
    """Take a channel out of use; its history stays. Reports that it still owes are not received: drain it first."""
    async with ctx.database() as database:
        with _known(name):
            await service.remove(ctx.change(database), name)
    await ctx.tell_daemon()
    return f"{name} is removed; its history stays"


@channel.command("list")
@json_option
async def channel_list(ctx: Context, as_json: bool) -> None:
    """All channels, with their state when a daemon runs."""
    try:
        lines = (await ctx.daemon("GET", "/status"))["channels"]
    except DaemonAway:
        async with ctx.database() as database:
            specs = await queries.channels(database)
        lines = [
            {
                "name": s.name, "protocol": s.protocol, "state": "daemon not running", "carriers": sorted(s.carriers),
                "access_code": s.access_code, "connections": s.connections, "window": s.window, "rate_limit": s.rate,
            }
            for s in specs
        ]  # fmt: skip
    if as_json:
        print_json(lines)
    else:
        print_table(
            lines,
            ("name", "protocol", "state", "bound", "connections", "window_used", "window", "rate_now", "rate_limit",
             "carriers", "report_ids", "probe", "reason", "last_error"),
            empty="no channels yet; make one with: smsgwctl channel add NAME --protocol cmpp30 --host H --port N "
            "--user U --password-file -",
        )  # fmt: skip


@channel.command("show")
@click.argument("name")
@click.option("--limit", type=click.IntRange(1, throttles.KEPT), default=throttles.SHOWN, show_default=True,
              help="Spells of throttling, the newest first.")  # fmt: skip
@json_option
async def channel_show(ctx: Context, name: str, limit: int, as_json: bool) -> None:
    """What a channel is set to, how it is doing, and when its carrier has said that it is sent too fast."""
    async with ctx.database() as database:
        known = await queries.channels(database, name)
        if not known:
            raise Failed(f"no channel {name}")
        spells = await throttles.newest(database, known[0].id, clock.now(), limit)
    try:
        live = next((s for s in (await ctx.daemon("GET", "/status"))["channels"] if s["name"] == name), None)
    except DaemonAway:
        live = None
    shown = asdict(known[0]) | {"carriers": sorted(known[0].carriers), "profile": dict(known[0].profile)}
    lines = [
        {"began_at": one.spell.began_at, "until": one.spell.until, "goes_on": one.goes_on, "limit": one.spell.limit,
         "lowest": one.spell.lowest, "carried": one.spell.carried, "taken": one.spell.taken,
         "refused": one.spell.refused, "node": one.node}
        for one in spells
    ]  # fmt: skip
    if as_json:
        print_json({"channel": shown, "now": live, "throttled": lines})
        return
    said = ("state", "bound", "rate_now", "rate_allowed", "reason", "last_error")
    now = {key: live[key] for key in said} if live else {"state": "daemon not running"}
    for key, value in (shown | now).items():
        click.echo(f"{key:<16}{value}")
    click.echo("said too fast:")
    columns = ("began_at", "until", "goes_on", "limit", "lowest", "carried", "taken", "refused", "node")
    print_table(lines, columns, empty="never, as far as is remembered")


@channel.command("test")
@click.argument("name")
@click.option("--to", "number", help="Send a probe to this phone number, too: it costs what the carrier takes.")
@click.option("--wait", type=click.IntRange(1, 600), default=60, show_default=True, help="Seconds for its report.")
async def channel_test(ctx: Context, name: str, number: str | None, wait: int) -> None:
    """Whether the channel is logged in right now, and what it last complained about; --to: whether it delivers."""
    await _logged_in(ctx, name)
    if number is not None:
        await _probe(ctx, name, number, wait)


@channel.command("check")
@click.argument("name")
@click.option("--login", is_flag=True, help="Log in although the login is at work: it may cut off what is sending.")
@json_option
async def channel_check(ctx: Context, name: str, login: bool, as_json: bool) -> None:
    """Test what a channel is set to, step by step: name, port, TLS, login, keep-alive, connections. Sends nothing."""
    with _known(name):
        begun = await ctx.daemon("POST", "/channels/check", {"channel": name, "login": login})
    said = 0
    async with ctx.database() as database:
        while True:
            check = await checks.one(database, begun["check"])
            if check is None:
                raise Failed("the test is gone")
            for finding in () if as_json else check.findings[said:]:
                _print_finding(finding)
            said = len(check.findings)
            if not check.running:
                break
            await asyncio.sleep(0.3)
    if as_json:
        print_json([_finding(one) for one in check.findings])
    if not check.good:
        raise Failed("the test was broken off" if check.broken_off else f"{name} does not pass")


def _finding(one: checks.Finding) -> dict[str, Any]:
    return {
        "stage": one.stage, "verdict": one.verdict, "code": one.code, "said": one.said.english,
        "advice": one.advice.english if one.advice else "", "raw": one.raw, "seconds": one.seconds,
    }  # fmt: skip


def _print_finding(one: checks.Finding) -> None:
    raw = f" ({one.raw})" if one.raw else ""
    click.echo(f"{one.verdict:8} {one.stage:12} {one.said.english}{raw}")
    if one.advice:
        click.echo(f"{'':21} {one.advice.english}")


async def _probe(ctx: Context, name: str, number: str, wait: int) -> None:
    body = {"channel": name, "number": number}
    with _known(name):
        message_id = (await ctx.daemon("POST", "/channels/probe", body))["message_id"]
    began = time.monotonic()
    async with ctx.database() as database:
        while True:
            state, code = await queries.probe_state(database, int(message_id)) or (PartState.EXPIRED, "")
            if state is PartState.DELIVERED:
                click.echo(f"{message_id} was delivered after {time.monotonic() - began:.1f} s")
                return
            if state in FINAL:
                raise Failed(f"{message_id} has failed: {STATUS[state]} {code}".rstrip())
            if time.monotonic() - began > wait:
                raise Failed(f"{message_id} is {STATUS[state]} after {wait} s; see: smsgwctl trace {message_id}")
            await asyncio.sleep(0.3)


async def _logged_in(ctx: Context, name: str) -> None:
    for line in (await ctx.daemon("GET", "/status"))["channels"]:
        if line["name"] == name:
            if line["state"] == "idle":
                click.echo(f"{name} is idle: it was bound, and connects again when there is something to send")
                return
            if line["state"] != "bound":
                raise Failed(f"{name} is {line['state']}: {line['last_error'] or 'no error so far'}")
            click.echo(f"{name} is bound: {line['bound']} of {line['connections']} connections")
            return
    raise Failed(f"no channel {name}; smsgwctl channel list shows them")


@contextlib.contextmanager
def _new_file(file: Path) -> Iterator[BinaryIO]:
    """For us alone; nothing is left of it when nothing came."""
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        try:
            yield out
        except RuntimeError:
            if not out.tell():
                file.unlink()
            raise


@channel.command("record")
@click.argument("name")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--seconds", type=click.FloatRange(1, MAX_SECONDS), default=60.0, show_default=True)
@click.option("--max-mb", type=click.IntRange(1, MAX_BYTES >> 20), default=16, show_default=True)
async def channel_record(ctx: Context, name: str, file: Path, seconds: float, max_mb: int) -> None:
    """Record every PDU of a running channel into FILE, for `smsgwctl simulate --replay FILE`.

    Numbers, texts, names and passwords are masked. Ends by itself, or with Ctrl-C; what is in FILE by then is good.
    """
    last = b""
    body = {"channel": name, "seconds": seconds, "max_bytes": max_mb << 20}
    pieces = ctx.daemon_stream("/channels/record", body, timeout_s=seconds + 60)
    with _new_file(file) as out:
        async for piece in pieces:
            out.write(piece)
            out.flush()
            last = piece.rstrip().rpartition(b"\n")[2] or last
    with contextlib.suppress(ValueError, KeyError):
        end = json.loads(last)
        click.echo(f"{end['pdus']} PDUs in {file}: {end['why']}")
        return
    raise Failed(f"the recording broke off; {file} holds what came before")


@channel.command("submits")
@click.argument("name")
@click.option("--hours", type=click.IntRange(1, recordings.MOST_HOURS), help="Record for so long, from now on.")
@click.option("--reason", default="", help="Why; needed with --hours.")
@click.option("--end", is_flag=True, help="Record no more.")
@json_option
async def channel_submits(ctx: Context, name: str, hours: int | None, reason: str, end: bool, as_json: bool) -> None:
    """Record what a channel submits and is answered, for the trace of messages; without options: how it stands.

    What is kept has whole numbers and texts, and goes after [retention] submits_days.
    """
    if end and hours is not None:
        raise click.UsageError("--hours or --end, not both")
    async with ctx.database() as database:
        channel_id = await _id_of(database, name)
        if end:
            await recordings.end(ctx.change(database), channel_id)
        elif hours is not None:
            await recordings.begin(ctx.change(database), channel_id, hours=hours, reason=reason)
        if end or hours is not None:
            await ctx.tell_daemon()
        found = await recordings.last(database, channel_id)
        expected = await recordings.expected(database, channel_id)
    lines = [] if found is None else [
        {"running": found.running, "begun_at": found.begun_at, "by": found.begun_by, "until": found.until,
         "reason": found.reason, "kept": found.kept, "left_out": found.left_out, "octets": found.octets}
    ]  # fmt: skip
    day = {"submits": expected.submits, "rows": expected.rows, "octets": expected.octets}
    if as_json:
        print_json({"recording": lines[0] if lines else None, "expected_a_day": day})
        return
    columns = ("running", "begun_at", "by", "until", "reason", "kept", "left_out", "octets")
    print_table(lines, columns, empty="was not recorded yet")
    click.echo(f"a day, as the last 24 hours were: {expected.rows} rows, {expected.octets / 2**20:.1f} MB")
