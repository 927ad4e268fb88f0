"""``smsgwctl scenario``: what a kind of sending always has."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import click

from smsgw.commands.account import account_id
from smsgw.commands.base import (
    Context,
    Failed,
    group,
    json_option,
    known,
    limit_option,
    print_json,
    print_table,
    say,
    show_line,
)
from smsgw.commands.content import account_id_of
from smsgw.commands.hops import chain, hop_options
from smsgw.commands.task import SPANS, spans
from smsgw.core.fallback import chain_of
from smsgw.core.model import MessageType
from smsgw.platform.handles import Database
from smsgw.platform.paging import Window
from smsgw.platform.scenarios import queries as scenario_queries, service as scenario_service
from smsgw.platform.scenarios.model import MOST_MINUTES, Scenario, Terms, Wanted


@group()
def scenario() -> None:
    """Scenarios (业务场景): what a kind of sending always has; the API names one by scenario_id."""


def _plain(one: Scenario) -> dict[str, Any]:
    terms = one.terms
    return {
        "id": str(one.id), "name": terms.name, "account": one.account, "state": one.state, "type": terms.type.value,
        "sign": terms.sign, "template_id": None if terms.template_id is None else str(terms.template_id),
        "extend_code": terms.extend_code, "valid_minutes": terms.valid_minutes,
        "window": terms.windows, "note": terms.note,
        "fallback": None if terms.fallback is None else terms.fallback.plain(),
        "created_by": one.created_by, "created_at": one.created_at, "updated_at": one.updated_at,
    }  # fmt: skip


def _window(_: click.Context, __: click.Parameter, text: str | None) -> str | None:
    return str(spans(text)) if text else text


def _terms_options(function: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--no-hops", is_flag=True, help="Nothing follows a message that has failed."),
        hop_options,
        click.option("--note", help="For who sends."),
        click.option("--window", "windows", callback=_window, help=f"{SPANS}: only then; empty: at any time."),
        click.option("--valid", type=click.IntRange(0, MOST_MINUTES), help="Minutes it may take; 0: as usual."),
        click.option("--extend-code", help="Digits behind the access code; empty: none."),
        click.option("--template", type=click.IntRange(0), help="Id of an approved template; 0: any text."),
        click.option("--sign", help="Always with this signature; empty: any."),
        click.option("--type", "kind", type=click.Choice([str(t) for t in MessageType]),
                     help="Type of its messages; notice for a new one."),
    ):  # fmt: skip
        function = option(function)
    return function


def _changed(terms: Terms, given: dict[str, Any]) -> Terms:
    """The terms with what was given."""
    hops, minutes, none = given.pop("hops"), given.pop("hop_minutes"), given.pop("no_hops")
    given_chain = chain(hops, minutes)
    if none or given_chain is not None:
        terms = replace(terms, fallback=None if none or given_chain is None else chain_of(given_chain))
    kind, valid, template = given.pop("kind"), given.pop("valid"), given.pop("template")
    said: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if kind is not None:
        said["type"] = MessageType(kind)
    if valid is not None:
        said["valid_minutes"] = valid or None
    if template is not None:
        said["template_id"] = template or None
    return replace(terms, **said)


def _known(id_: int) -> AbstractContextManager[None]:
    return known(f"scenario {id_}", "smsgwctl scenario list")


async def _scenario(database: Database, id_: int) -> Scenario:
    found = await scenario_queries.one(database, id_, accounts=None)
    if found is None:
        raise Failed(f"no scenario {id_}; smsgwctl scenario list shows them")
    return found


@scenario.command("list")
@click.option("--account", default="")
@click.option("--state", type=click.Choice(("active", "stopped")))
@limit_option
@json_option
async def scenario_list(ctx: Context, account: str, state: str | None, limit: int, as_json: bool) -> None:
    """The newest, and what they fix."""
    async with ctx.database() as database:
        wanted = Wanted(state=state or "", account_id=await account_id_of(database, account) or None)
        found = (await scenario_queries.search(database, wanted, Window("id", limit=limit), accounts=None)).rows
    lines = [_plain(one) for one in found]
    if as_json:
        print_json(lines)
    else:
        print_table(lines, ("id", "name", "account", "state", "type", "sign", "template_id", "window", "note"),
                    empty="no scenarios; next: smsgwctl scenario add --help")  # fmt: skip


@scenario.command("show")
@click.argument("id_", metavar="ID", type=int)
@json_option
async def scenario_show(ctx: Context, id_: int, as_json: bool) -> None:
    """All that it fixes."""
    async with ctx.database() as database:
        line = _plain(await _scenario(database, id_))
    show_line(line, as_json)


@scenario.command("add")
@click.argument("name")
@click.option("--account", required=True)
@_terms_options
@json_option
async def scenario_add(ctx: Context, name: str, account: str, as_json: bool, **given: Any) -> None:
    """Make a scenario of an account."""
    terms = _changed(Terms(name, MessageType.NOTICE), given)
    async with ctx.database() as database:
        id_ = await scenario_service.add(ctx.change(database), await account_id(database, account), terms)
        line = _plain(await _scenario(database, id_))
    if as_json:
        print_json(line)
    else:
        say(f'scenario {id_}: {name}; the API sends with "scenario_id": "{id_}"')


@scenario.command("set")
@click.argument("id_", metavar="ID", type=int)
@click.option("--name")
@_terms_options
@json_option
async def scenario_set(ctx: Context, id_: int, as_json: bool, **given: Any) -> None:
    """Change what it fixes, for sendings that begin from now on; what is not given stays."""
    async with ctx.database() as database:
        before = await _scenario(database, id_)
        await scenario_service.put(ctx.change(database), id_, _changed(before.terms, given))
        line = _plain(await _scenario(database, id_))
    show_line(line, as_json)


@scenario.command("stop")
@click.argument("id_", metavar="ID", type=int)
async def scenario_stop(ctx: Context, id_: int) -> None:
    """Nothing is sent with it any more; it stays in the list."""
    async with ctx.database() as database:
        with _known(id_):
            await scenario_service.stop(ctx.change(database), id_)
    click.echo(f"scenario {id_} stopped; undo: smsgwctl scenario start {id_}")


@scenario.command("start")
@click.argument("id_", metavar="ID", type=int)
async def scenario_start(ctx: Context, id_: int) -> None:
    """Take a stopped one into use again."""
    async with ctx.database() as database:
        with _known(id_):
            await scenario_service.start(ctx.change(database), id_)
    click.echo(f"scenario {id_} in use")
