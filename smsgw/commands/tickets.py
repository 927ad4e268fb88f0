"""``smsgwctl ticket``: what somebody has reported, and the answer."""

from __future__ import annotations

from dataclasses import asdict

import click

from smsgw.commands.base import Context, group, json_option, print_json, print_rows, print_table
from smsgw.core.errors import Refused
from smsgw.platform.accounts.queries import id_of
from smsgw.platform.paging import Window
from smsgw.platform.tickets import model, service
from smsgw.platform.tickets.model import TICKETS, TicketFilter
from smsgw.runtime import clock


@group()
def ticket() -> None:
    """Tickets (工单): opened, answered, closed."""


@ticket.command("list")
@click.option("--state", type=click.Choice(["open", "handling", "closed"]), default=None)
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True)
@json_option
async def ticket_list(ctx: Context, state: str | None, limit: int, as_json: bool) -> None:
    """Tickets, those that are not closed first."""
    async with ctx.database() as database:
        actor = ctx.change(database).actor
        found = await TICKETS.search(database, actor, TicketFilter(state or ""), Window("ticket_state", limit=limit))
    now = clock.now()
    lines = [asdict(one) | {"state": one.state.value, "response": one.response.state(now).value} for one in found.rows]
    columns = ["id", "state", "account", "title", "opened_at", "opened_by", "response", "assigned_to"]
    print_rows(lines, columns, as_json, empty="no tickets")


@ticket.command("show")
@click.argument("id_", type=int, metavar="ID")
@json_option
async def ticket_show(ctx: Context, id_: int, as_json: bool) -> None:
    """Its thread, the newest first."""
    async with ctx.database() as database:
        one = await TICKETS.get(database, ctx.change(database).actor, id_)
        if one is None:
            raise Refused("NOT_FOUND")
        thread = [asdict(step) for step in await model.steps(database, one)]
    if as_json:
        print_json(asdict(one) | {"state": one.state.value, "thread": thread})
        return
    click.echo(f"{one.title} ({one.account}): messages {', '.join(map(str, one.message_ids)) or '-'}")
    print_table(thread, ["at", "by", "kind", "said"], empty="nothing was said")


@ticket.command("open")
@click.argument("account")
@click.argument("title")
@click.argument("text")
@click.option("--message", "ids", type=int, multiple=True, help="What it is about; may be given again.")
async def ticket_open(ctx: Context, account: str, title: str, text: str, ids: tuple[int, ...]) -> None:
    """Open one; prints its number. Whole phone numbers in it are masked."""
    async with ctx.database() as database:
        draft = service.Draft(await id_of(database, account), title, text, ids)
        click.echo(await service.open_(ctx.change(database), draft))


@ticket.command("take")
@click.argument("id_", type=int, metavar="ID")
async def ticket_take(ctx: Context, id_: int) -> str:
    """Look after it."""
    async with ctx.database() as database:
        await service.take(ctx.change(database), id_)
    return f"you look after ticket {id_}"


@ticket.command("say")
@click.argument("id_", type=int, metavar="ID")
@click.argument("text")
async def ticket_say(ctx: Context, id_: int, text: str) -> None:
    """Add to its thread."""
    async with ctx.database() as database:
        await service.say(ctx.change(database), id_, text)


@ticket.command("assign")
@click.argument("id_", type=int, metavar="ID")
@click.argument("login")
async def ticket_assign(ctx: Context, id_: int, login: str) -> str:
    """Have somebody look after it who may."""
    async with ctx.database() as database:
        await service.assign(ctx.change(database), id_, login)
    return f"{login} looks after ticket {id_}"


@ticket.command("close")
@click.argument("id_", type=int, metavar="ID")
@click.argument("reply")
async def ticket_close(ctx: Context, id_: int, reply: str) -> str:
    """Close it with the answer."""
    async with ctx.database() as database:
        await service.close(ctx.change(database), id_, reply)
    return f"ticket {id_} is closed"


@ticket.command("reopen")
@click.argument("id_", type=int, metavar="ID")
@click.argument("why")
async def ticket_reopen(ctx: Context, id_: int, why: str) -> str:
    """The answer was none."""
    async with ctx.database() as database:
        await service.reopen(ctx.change(database), id_, why)
    return f"ticket {id_} is open again"
