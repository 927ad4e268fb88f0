"""``smsgwctl webhook``: where events of accounts go (docs/webhooks.md)."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import timedelta
from typing import Any

import click

from smsgw.commands.base import Context, Failed, group, json_option, print_json, print_table, say
from smsgw.core.errors import Invalid
from smsgw.core.webhooks import TYPES, Way, kind_of, type_of
from smsgw.platform.accounts.queries import id_of
from smsgw.platform.handles import Database
from smsgw.platform.webhooks import queries, service
from smsgw.platform.webhooks.model import MAX_REDELIVERED, STATES, Wanted
from smsgw.runtime import clock

STATE = click.Choice(STATES)
WAYS = click.Choice([str(w) for w in Way])
TYPE = click.Choice(list(TYPES))


async def _account(database: Database, name: str) -> int:
    try:
        return await id_of(database, name)
    except Invalid as exc:
        raise Failed(f"no account {name}") from exc


@group()
def webhook() -> None:
    """Where events of accounts go: endpoints, their state, deliveries (推送)."""


@webhook.command("list")
@click.argument("account", required=False)
@json_option
async def webhook_list(ctx: Context, account: str | None, as_json: bool) -> None:
    """Endpoints of an account, or of all."""
    async with ctx.database() as database:
        seen = (await _account(database, account),) if account else None
        rows = await queries.endpoints(database, seen)
        lines = []
        for row in rows:
            setting = await queries.setting(database, row.account_id)
            lines.append(asdict(row) | {"way": setting.way})
    if as_json:
        print_json(lines)
        return
    shown = [
        line | {"events": ", ".join(line["events"]) or "(the rest)", "url": line["url"] or ", ".join(line["hosts"])}
        for line in lines
    ]
    columns = ("account", "name", "way", "status", "url", "events", "failing_since", "last_error", "reason")
    print_table(shown, columns, empty="no webhooks; see: smsgwctl webhook set --help")


@webhook.command("way")
@click.argument("account")
@click.argument("way", type=WAYS, required=False)
@click.option("--balance-below", type=click.IntRange(0), help="Tell balance.low below so many parts; 0: never.")
@json_option
async def webhook_way(ctx: Context, account: str, way: str | None, balance_below: int | None, as_json: bool) -> None:
    """How an account gets its events: pull, webhook or bind (the partner's connection)."""
    async with ctx.database() as database:
        account_id = await _account(database, account)
        now = await queries.setting(database, account_id)
        if way is not None or balance_below is not None:
            now = await service.edit_setting(ctx.change(database), account_id, way=way, balance_below=balance_below)
    await ctx.tell_daemon()
    if as_json:
        print_json(asdict(now))
    else:
        click.echo(f"{account}: {now.way}, balance.low below {now.balance_below or '-'}")


@webhook.command("set")
@click.argument("account")
@click.argument("name")
@click.argument("url", required=False, default="")
@click.option("--event", "events", type=TYPE, multiple=True, help="Type; repeatable. None: all the rest.")
@click.option("--host", "hosts", multiple=True, help="Of `callback`: host that callback_url may name; repeatable.")
@click.option("--options", default="{}", help='JSON, e.g. {"format": "form", "max_items": 1}.')
@json_option
async def webhook_set(
    ctx: Context, account: str, name: str, url: str, events: tuple[str, ...], hosts: tuple[str, ...], options: str,
    as_json: bool,
) -> None:  # fmt: skip
    """Make or change an endpoint; the secret of a new one is shown once."""
    try:
        given: Any = json.loads(options)
    except ValueError as exc:
        raise click.BadParameter(f"not JSON: {exc}", param_hint="--options") from exc
    if not isinstance(given, dict):
        raise click.BadParameter("a JSON object is wanted", param_hint="--options")
    reach = ctx.settings.webhooks.reach
    async with ctx.database() as database:
        account_id = await _account(database, account)
        secret = await service.put(
            ctx.change(database), ctx.sealer(), account_id, Wanted(name, url, events, hosts, given), reach
        )
    await ctx.tell_daemon()
    if as_json:
        print_json({"account": account, "name": name, "secret": secret})
    elif secret is not None:
        click.echo(f"secret (shown once): {secret}")
    else:
        say(f"{name} of {account} is pushed to {url}")


@webhook.command("delete")
@click.argument("account")
@click.argument("name")
async def webhook_delete(ctx: Context, account: str, name: str) -> str:
    """Remove an endpoint; its events go to the endpoint for the rest, or are pulled."""
    async with ctx.database() as database:
        await service.delete(ctx.change(database), await _account(database, account), name)
    await ctx.tell_daemon()
    return f"{name} of {account} is removed"


async def _switch(ctx: Context, account: str, name: str, *, active: bool) -> None:
    async with ctx.database() as database:
        account_id = await _account(database, account)
        await service.set_status(ctx.change(database), account_id, name, active=active)
    await ctx.tell_daemon()


@webhook.command("disable")
@click.argument("account")
@click.argument("name")
async def webhook_disable(ctx: Context, account: str, name: str) -> str:
    """Stop pushing; the events wait."""
    await _switch(ctx, account, name, active=False)
    return f"{name} of {account} is disabled: its events wait"


@webhook.command("enable")
@click.argument("account")
@click.argument("name")
async def webhook_enable(ctx: Context, account: str, name: str) -> str:
    """Push again."""
    await _switch(ctx, account, name, active=True)
    return f"{name} of {account} is pushed to again"


@webhook.command("rotate")
@click.argument("account")
@click.argument("name")
@click.option("--keep-old", type=click.IntRange(0, 168), default=24, show_default=True, help="Hours.")
@click.option("--force", is_flag=True, help="Though the former one still signs: it ends at once.")
@json_option
async def webhook_rotate(ctx: Context, account: str, name: str, keep_old: int, force: bool, as_json: bool) -> None:
    """A new secret; the present one signs beside it for a while."""
    async with ctx.database() as database:
        secret = await service.rotate_secret(
            ctx.change(database),
            ctx.sealer(),
            await _account(database, account),
            name,
            keep_old_hours=keep_old,
            force=force,
        )
    await ctx.tell_daemon()
    if as_json:
        print_json({"account": account, "name": name, "secret": secret})
    else:
        click.echo(f"secret (shown once): {secret}")


@webhook.command("test")
@click.argument("account")
@click.argument("name")
@json_option
async def webhook_test(ctx: Context, account: str, name: str, as_json: bool) -> None:
    """Send a sample at once, from the running daemon; exit 1 when the receiver does not take it."""
    answer = await ctx.daemon("POST", "/webhooks/test", {"account": account, "name": name})
    if as_json:
        print_json(answer)
    else:
        verdict = "ok" if answer["ok"] else f"failed: {answer['problem']}"
        click.echo(f"{verdict} (HTTP {answer['status'] or '-'}, {answer['ms']} ms) {answer['text']}".rstrip())
    if not answer["ok"]:
        raise Failed(answer["problem"])


@webhook.command("deliveries")
@click.argument("account", required=False)
@click.option("--state", type=STATE)
@click.option("--type", "type_", type=TYPE)
@click.option("--message", type=int, help="Events about this message.")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True)
@json_option
async def webhook_deliveries(
    ctx: Context, account: str | None, state: str | None, type_: str | None, message: int | None, limit: int,
    as_json: bool,
) -> None:  # fmt: skip
    """Events and how their delivery stands, newest first."""
    async with ctx.database() as database:
        seen = (await _account(database, account),) if account else None
        found = await queries.deliveries(
            database, seen, state=state, kind=kind_of(type_) if type_ else None, message_id=message,
            since=clock.now() - timedelta(days=31), limit=limit,
        )  # fmt: skip
    lines = [
        asdict(d) | {"id": str(d.id), "type": type_of(d.kind), "message_id": str(d.message_id or "")} for d in found
    ]
    if as_json:
        print_json(lines)
        return
    columns = ("id", "type", "message_id", "state", "tries", "problem", "next_at", "done_at", "done_by", "target")
    print_table(lines, columns, empty="none")


@webhook.command("redeliver")
@click.argument("account")
@click.option("--state", type=STATE, default="dead", show_default=True)
@click.option("--type", "type_", type=TYPE)
@click.option("--hours", type=click.IntRange(1, 24 * 31), default=24 * 31, help="Events of so many last hours.")
@click.option("--message", "messages", type=int, multiple=True, help="Events about this message; repeatable.")
@click.option("--event", "events", type=int, multiple=True, help="This event; repeatable.")
@click.option("--way", type=WAYS, help="Offer them by this way once, instead of the account's.")
@json_option
async def webhook_redeliver(
    ctx: Context, account: str, state: str, type_: str | None, hours: int, messages: tuple[int, ...],
    events: tuple[int, ...], way: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Offer events again as if for the first time."""
    now = clock.now()
    counts: dict[str, int] = {}
    async with ctx.database() as database:
        account_id = await _account(database, account)
        while True:
            done = await service.redeliver(
                ctx.change(database), account_id, state=state, kind=kind_of(type_) if type_ else None,
                since=now - timedelta(hours=hours), until=now, event_ids=events or None, message_ids=messages or None,
                way=way,
            )  # fmt: skip
            for kind, n in done.items():
                counts[type_of(kind)] = counts.get(type_of(kind), 0) + n
            # Events that wait stay so: only what leaves its state by this can be gone through in steps.
            if sum(done.values()) < MAX_REDELIVERED or state == "waiting":
                break
    if as_json:
        print_json(counts)
    else:
        click.echo(", ".join(f"{n} {name}" for name, n in sorted(counts.items())) or "nothing to offer again")
