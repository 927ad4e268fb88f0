"""``smsgwctl short-link``: short links, their codes and their clicks."""

from __future__ import annotations

import csv
import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TextIO

import click

from smsgw.commands.base import Context, When, group, json_option, print_json, print_rows, print_table, say
from smsgw.commands.content import account_id_of
from smsgw.core.clicks import Verdict
from smsgw.core.ids import CHINA
from smsgw.core.short_codes import Permutation
from smsgw.core.words import label
from smsgw.platform.accounts.queries import id_of
from smsgw.platform.change import Change
from smsgw.platform.links import queries, service
from smsgw.platform.links.model import LinkKind, LinkState, NewLink, Origin, ShortLink
from smsgw.platform.links.queries import WantedLinks
from smsgw.platform.links.sending import told
from smsgw.platform.paging import Window
from smsgw.runtime import clock

_WHEN = When(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"])
_COLUMNS = ("id", "name", "account", "kind", "address", "target", "state", "valid_until", "visits")
AT_ONCE = 5000
"""Codes that are written at a time."""


@group()
def short_link() -> None:
    """Short links (短链) and clicks on them. Filings of links with carriers are `smsgwctl link`."""


def _china(at: datetime | None) -> datetime | None:
    return None if at is None else at.replace(tzinfo=CHINA)


def _line(one: ShortLink, codes: Permutation | None) -> dict[str, Any]:
    state = one.state(clock.now())
    return {
        "id": str(one.id), "name": one.name, "account": one.account, "kind": one.kind.value, "origin": one.origin.value,
        "address": one.address(0, codes), "codes": one.codes, "target": one.target, "version": one.version,
        "passed": one.passed, "warn": one.warn, "state": state.value, "state_zh": str(label("link_state", state.value)),
        "held": one.held, "reason": one.reason, "valid_from": one.valid_from, "valid_until": one.valid_until,
        "visits_max": one.visits_max, "visits": one.visits, "unkept": one.unkept, "made_at": one.made_at,
        "made_by": one.made_by,
    }  # fmt: skip


@short_link.command("add")
@click.argument("name")
@click.argument("target", metavar="URL")
@click.option("--account", required=True)
@click.option("--personal", metavar="N", type=click.IntRange(1, 1_000_000), default=None,
              help="One code for each of N recipients, instead of one for all.")  # fmt: skip
@click.option("--code", default="", help="The code itself: 4 to 20 small letters, digits, hyphens; not exactly eight.")
@click.option("--domain", default="", help="One of [public] hosts; the first without.")
@click.option("--from", "begins", type=_WHEN, default=None, help="Not before (China).")
@click.option("--until", type=_WHEN, default=None, help="No longer than (China).")
@click.option("--visits", type=click.IntRange(0), default=0, help="So many visits of people, then no more; 0: any.")
@click.option("--warn", is_flag=True, help="Show where it leads before leading there.")
@json_option
async def short_link_add(
    ctx: Context, name: str, target: str, account: str, personal: int | None, code: str, domain: str,
    begins: datetime | None, until: datetime | None, visits: int, warn: bool, as_json: bool,
) -> None:  # fmt: skip
    """Make a short link to URL; it is in force at once."""
    async with ctx.database() as database:
        wanted = NewLink(
            await id_of(database, account), name, target, LinkKind.PERSONAL if personal else LinkKind.SHARED,
            Origin.COMMAND, domain, personal or 1, code, _china(begins), _china(until), visits, warn,
        )  # fmt: skip
        made = await service.make(
            ctx.change(database), ctx.sealer(), wanted, ctx.settings.public.hosts, now=clock.now()
        )
        codes = await queries.permutation(database, ctx.sealer())
    await ctx.tell_daemon()
    if as_json:
        print_json(_line(made, codes))
    elif made.kind is LinkKind.PERSONAL:
        click.echo(f"short link {made.id}: {made.codes} codes; next: smsgwctl short-link codes {made.id} --out FILE")
    else:
        click.echo(f"short link {made.id}: {made.address(0, codes)} leads to {made.target}")


@short_link.command("list")
@click.option("--account", default="")
@click.option("--state", type=click.Choice([str(s) for s in LinkState]), default=None)
@click.option("--text", default="", help="Part of the name or of the target.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True)
@json_option
async def short_link_list(ctx: Context, account: str, state: str | None, text: str, limit: int, as_json: bool) -> None:
    """The newest links, whatever has made them."""
    async with ctx.database() as database:
        wanted = WantedLinks(text, await account_id_of(database, account) or None, state=state or "")
        found = await queries.search(database, wanted, Window("made_at", limit=limit), accounts=None)
        codes = await queries.permutation(database, ctx.sealer())
    lines = [_line(one, codes) for one in found.rows]
    print_rows(lines, _COLUMNS, as_json, empty="no short links")


@short_link.command("show")
@click.argument("id_", metavar="ID", type=int)
@json_option
async def short_link_show(ctx: Context, id_: int, as_json: bool) -> None:
    """A link, where it has led, and what has come of it."""
    async with ctx.database() as database:
        one = await queries.one(database, id_, accounts=None)
        line = _line(one, await queries.permutation(database, ctx.sealer()))
        line |= asdict(await queries.figures(database, one))
        targets = [asdict(target) for target in await queries.targets(database, one)]
    if as_json:
        print_json(line | {"targets": targets})
        return
    for name, value in line.items():
        click.echo(f"{name:<12} {value}")
    print_table(targets, ("version", "target", "at", "by"), empty="")


def _own_file(path: Path) -> TextIO:
    """A new file that nobody else reads: a code is as good as its recipient's."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    return open(descriptor, "w", encoding="ascii", newline="")


@short_link.command("codes")
@click.argument("id_", metavar="ID", type=int)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), default=None,
              help="A new file, for you alone; standard output without.")  # fmt: skip
async def short_link_codes(ctx: Context, id_: int, out: Path | None) -> None:
    """All codes of a link as CSV: number of the recipient (from 1) and address. No message gets one of them later."""
    async with ctx.database() as database:
        one = await queries.one(database, id_, accounts=None)
        await told(database, id_, one.codes)
        codes = await queries.permutation(database, ctx.sealer())
    file = _own_file(out) if out else sys.stdout
    try:
        writer = csv.writer(file)
        writer.writerow(("n", "address"))
        for begin in range(0, one.codes, AT_ONCE):
            some = range(begin, min(begin + AT_ONCE, one.codes))
            writer.writerows((n + 1, one.address(n, codes)) for n in some)
    finally:
        if out:
            file.close()
    if out:
        say(f"{one.codes:,} codes in {out}")


@short_link.command("clicks")
@click.argument("id_", metavar="ID", type=int)
@click.option("--verdict", type=click.Choice([str(v) for v in Verdict]), default=None, help="Only those.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True)
@json_option
async def short_link_clicks(ctx: Context, id_: int, verdict: str | None, limit: int, as_json: bool) -> None:
    """The newest hits, and who it was: judged some 20 seconds after them."""
    async with ctx.database() as database:
        one = await queries.one(database, id_, accounts=None)
        window = Window("clicked_at", limit=limit)
        found = await queries.clicks(database, one, window, verdict=verdict or "")
    lines = [asdict(one) | {"id": str(one.id), "n": one.n + 1} for one in found.rows]
    columns = ("at", "n", "verdict", "address", "method", "agent", "referer", "version")
    print_rows(lines, columns, as_json, empty="no clicks")


@short_link.command("target")
@click.argument("id_", metavar="ID", type=int)
@click.argument("target", metavar="URL")
async def short_link_target(ctx: Context, id_: int, target: str) -> None:
    """Let it lead to URL from now on; clicks say which version they were shown."""
    async with ctx.database() as database:
        one = await service.lead(ctx.change(database), id_, target, ctx.settings.public.hosts)
    await ctx.tell_daemon()
    click.echo(f"short link {id_}: version {one.version} leads to {one.target}")


async def _change(ctx: Context, id_: int, what: Callable[[Change], Awaitable[ShortLink]]) -> None:
    async with ctx.database() as database:
        one = await what(ctx.change(database))
    await ctx.tell_daemon()
    click.echo(f"short link {id_}: {one.state(clock.now()).value}")


@short_link.command("stop")
@click.argument("id_", metavar="ID", type=int)
@click.option("--reason", default="")
async def short_link_stop(ctx: Context, id_: int, reason: str) -> None:
    """Its codes lead nowhere any more."""
    await _change(ctx, id_, lambda change: service.stop(change, id_, reason=reason))


@short_link.command("start")
@click.argument("id_", metavar="ID", type=int)
async def short_link_start(ctx: Context, id_: int) -> None:
    """After a stop: they lead there again, once that target is passed."""
    await _change(ctx, id_, lambda change: service.start(change, id_))


@short_link.command("pass")
@click.argument("id_", metavar="ID", type=int)
@click.argument("version", metavar="VERSION", type=int)
@click.option("--warn/--no-warn", default=None, help="Show where it leads before leading there; as it is without.")
async def short_link_pass(ctx: Context, id_: int, version: int, warn: bool | None) -> None:
    """A link under review may lead to that VERSION of its target (`short-link show`)."""
    await _change(ctx, id_, lambda change: service.pass_(change, id_, version, warn=warn))


@short_link.command("reject")
@click.argument("id_", metavar="ID", type=int)
@click.argument("version", metavar="VERSION", type=int)
@click.argument("reason")
async def short_link_reject(ctx: Context, id_: int, version: int, reason: str) -> None:
    """It may not lead to that VERSION of its target, and why."""
    await _change(ctx, id_, lambda change: service.reject(change, id_, version, reason))


@short_link.command("judge")
@click.option("--days", type=click.IntRange(1, 31), default=1, show_default=True, help="Of so many days until now.")
async def short_link_judge(ctx: Context, days: int) -> None:
    """Have clicks judged again by the rules of this program; a node does it in the background."""
    now = clock.now()
    async with ctx.database() as database:
        n = await service.judge_again(ctx.change(database), now - timedelta(days=days), now)
    click.echo(f"{n} clicks are judged again")
