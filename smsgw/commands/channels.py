"""``smsgwctl channel``."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import click

from smsgw.channels import profiles
from smsgw.channels.wire.recording import MAX_BYTES, MAX_SECONDS
from smsgw.commands.base import (
    Context,
    Failed,
    ask_password,
    json_option,
    pass_context,
    password_options,
    print_json,
    print_table,
    run_async,
)
from smsgw.core.states import FINAL, STATUS, PartState
from smsgw.core.words import phrase
from smsgw.node.control_client import DaemonAway
from smsgw.platform.channels import queries, service
from smsgw.platform.handles import Database

PROTOCOLS = ("cmpp30", "cmpp20", "smpp34", "sgip12", "smgp30")
CARRIERS = ("CMCC", "CUCC", "CTCC", "CBN", "INTL")


@click.group()
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
    if not value.isdigit():
        raise click.BadParameter(
            f"{text}: give a number of submits per second, such as 400 or 400/s", param_hint="--rate"
        )
    return int(value)


def _options(function: Any) -> Any:
    for option in (
        click.option("--protocol", type=click.Choice(PROTOCOLS)),
        click.option("--host"),
        click.option("--port", type=click.IntRange(1, 65535)),
        click.option(
            "--user",
            "username",
            help=str(phrase("help.user")),
        ),
        password_options,
        click.option("--access-code", help=str(phrase("help.access_code"))),
        click.option("--connections", type=click.IntRange(1, 64)),
        click.option(
            "--window", type=click.IntRange(1, 1000), help="Submits without an answer, per connection."
        ),
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
@pass_context
@run_async
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


@channel.command("set")
@click.argument("name")
@_options
@pass_context
@run_async
async def channel_set(ctx: Context, name: str, **given: Any) -> None:
    """Change a channel; window and rate take effect without reconnecting."""
    fields = _fields(given)
    if not fields:
        raise click.UsageError("nothing to change; see --help")
    await _change(ctx, name, fields)


async def _change(ctx: Context, name: str, fields: dict[str, Any]) -> None:
    sealer = ctx.sealer()
    async with ctx.database() as database:
        if fields.keys() & {"profile", "protocol"}:
            await _check_profile(database, name, fields)
        await service.edit(ctx.change(database), sealer, name, fields)
    await ctx.tell_daemon()


async def _check_profile(database: Database, name: str, fields: dict[str, Any]) -> None:
    """What the protocol cannot do without, or with, is said now and not when the channel starts."""
    for known in await queries.channels(database, name):
        profiles.parse(fields.get("profile", known.profile), fields.get("protocol", known.protocol))


@channel.command("start")
@click.argument("name")
@pass_context
@run_async
async def channel_start(ctx: Context, name: str) -> None:
    """Connect and send."""
    await _change(ctx, name, {"desired": "started"})


@channel.command("stop")
@click.argument("name")
@pass_context
@run_async
async def channel_stop(ctx: Context, name: str) -> None:
    """Wait for answers under way, log out; what was never written flows to other channels."""
    await _change(ctx, name, {"desired": "stopped"})


@channel.command("drain")
@click.argument("name")
@pass_context
@run_async
async def channel_drain(ctx: Context, name: str) -> None:
    """Write nothing new, and stay connected for the reports of what was written (before a removal)."""
    await _change(ctx, name, {"desired": "draining"})


@channel.command("remove")
@click.argument("name")
@pass_context
@run_async
async def channel_remove(ctx: Context, name: str) -> None:
    """Take a channel out of use; its history stays. Reports that it still owes are not received: drain it first."""
    async with ctx.database() as database:
        await service.remove(ctx.change(database), name)
    await ctx.tell_daemon()


@channel.command("list")
@json_option
@pass_context
@run_async
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


@channel.command("test")
@click.argument("name")
@click.option(
    "--to", "number", help="Send a probe to this phone number, too: it costs what the carrier takes."
)
@click.option(
    "--wait", type=click.IntRange(1, 600), default=60, show_default=True, help="Seconds for its report."
)
@pass_context
@run_async
async def channel_test(ctx: Context, name: str, number: str | None, wait: int) -> None:
    """Whether the channel is logged in right now, and what it last complained about; --to: whether it delivers."""
    await _logged_in(ctx, name)
    if number is not None:
        await _probe(ctx, name, number, wait)


async def _probe(ctx: Context, name: str, number: str, wait: int) -> None:
    body = {"channel": name, "number": number}
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
                raise Failed(
                    f"{message_id} is {STATUS[state]} after {wait} s; see: smsgwctl trace {message_id}"
                )
            await asyncio.sleep(0.3)


async def _logged_in(ctx: Context, name: str) -> None:
    for line in (await ctx.daemon("GET", "/status"))["channels"]:
        if line["name"] == name:
            if line["state"] == "idle":
                click.echo(
                    f"{name} is idle: it was bound, and connects again when there is something to send"
                )
                return
            if line["state"] != "bound":
                raise Failed(f"{name} is {line['state']}: {line['last_error'] or 'no error so far'}")
            click.echo(f"{name} is bound: {line['bound']} of {line['connections']} connections")
            return
    raise Failed(f"no channel {name}")


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
@pass_context
@run_async
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
