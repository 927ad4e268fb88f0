"""``smsgwctl draft``: sendings of accounts that are prepared, and made tasks."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import click

from smsgw.commands.account import account_id
from smsgw.commands.base import (
    Context,
    Failed,
    actor,
    group,
    json_option,
    known,
    limit_option,
    print_json,
    print_rows,
    show_line,
)
from smsgw.commands.content import account_id_of
from smsgw.commands.hops import chain, hop_options
from smsgw.commands.task import SPANS, spans
from smsgw.core import moments
from smsgw.core.fallback import chain_of
from smsgw.core.ids import CHINA
from smsgw.core.model import MessageType
from smsgw.node import control_client
from smsgw.platform.drafts import queries as draft_queries, service as draft_service
from smsgw.platform.drafts.model import Draft, Source, State, When
from smsgw.platform.drafts.wanted import chain_fields, chain_in
from smsgw.platform.handles import Database
from smsgw.platform.paging import Window

PATIENCE = 120.0
"""Seconds for a draft to become a task."""


@group()
def draft() -> None:
    """Drafts (草稿) of accounts, as the API makes them; those of people are theirs alone and are not here."""


def _draft_line(one: Draft) -> dict[str, Any]:
    state = one.state
    return {
        "id": str(one.id), "name": state.subject, "account_id": str(one.account_id), "scenario_id": state.scenario,
        "type": state.type, "sign": state.sign, "template_id": state.template, "content": state.content,
        "params": state.fixed, "numbers": len(state.to.split("\n")) if state.to else 0, "file_id": state.upload,
        "audience_id": state.audience, "send_at": state.at, "window": state.windows,
        "fallback": chain_in(state), "created_at": one.created_at, "updated_at": one.updated_at,
    }  # fmt: skip


def _known(id_: int) -> AbstractContextManager[None]:
    return known(f"draft {id_} of an account", "smsgwctl draft list")


async def _draft(database: Database, id_: int) -> Draft:
    found = await draft_queries.one(database, actor(), id_)
    if found is None:
        raise Failed(f"no draft {id_} of an account; smsgwctl draft list shows them")
    return found


def _pairs(_: click.Context, __: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise click.BadParameter(f"{text}: should be like VARIABLE=VALUE")
        found[name] = value
    return found


def _moment(_: click.Context, __: click.Parameter, text: str | None) -> str:
    if text is None:
        return ""
    try:
        at = moments.iso(text)
    except ValueError as exc:
        raise click.BadParameter(f"{text}: should be like 2026-05-01T09:00 (China's time)") from exc
    return f"{at.astimezone(CHINA):%Y-%m-%d %H:%M}"


def _draft_options(function: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        hop_options,
        click.option("--window", "windows", callback=_window, default="", help=f"{SPANS}: only then."),
        click.option("--at", callback=_moment, help="When to begin, such as 2026-05-01T09:00 (China's time)."),
        click.option("--audience", type=int, help="Id of an audience, instead of numbers."),
        click.option("--to", "to", multiple=True, help="Number; may be repeated."),
        click.option("--param", "params", multiple=True, callback=_pairs, help="VARIABLE=VALUE; may be repeated."),
        click.option("--template", type=int, help="Id of an approved template, instead of a text."),
        click.option("--text", default="", help="The text."),
        click.option("--sign", default="", help="Signature; else the account's."),
        click.option(
            "--type", "kind", metavar="TYPE", help="Or a kind (smsgwctl kind list); else the scenario's, or notice."
        ),
        click.option("--scenario", type=int, help="Id of a scenario, which decides about much of this."),
        click.option("--name", default="", help="What it is about."),
    ):
        function = option(function)
    return function


def _window(_: click.Context, __: click.Parameter, text: str) -> str:
    return str(spans(text)) if text else ""


def _hops(given: dict[str, Any]) -> dict[str, Any]:
    kept = chain(given["hops"], given["hop_minutes"])
    return {} if kept is None else chain_fields(chain_of(kept).plain())


def _state(account: int, given: dict[str, Any]) -> State:
    if given["to"] and given["audience"] is not None:
        raise click.UsageError("give --to or --audience, not both")
    if given["text"] and given["template"] is not None:
        raise click.UsageError("give --text or --template, not both")
    kind = given["kind"] or ("" if given["scenario"] else MessageType.NOTICE.value)
    source = Source.TYPED if given["audience"] is None else Source.AUDIENCE
    return State(
        subject=given["name"], scenario=str(given["scenario"] or ""), account=str(account), type=kind,
        sign=given["sign"], content=given["text"], template=str(given["template"] or ""), fixed=given["params"],
        source=source.value, to="\n".join(given["to"]), audience=str(given["audience"] or ""), at=given["at"],
        when=(When.AT if given["at"] else When.NOW).value, windows=given["windows"], **_hops(given),
    )  # fmt: skip


@draft.command("list")
@click.option("--account", default="")
@limit_option
@json_option
async def draft_list(ctx: Context, account: str, limit: int, as_json: bool) -> None:
    """Drafts of accounts, newest first."""
    async with ctx.database() as database:
        whose = await account_id_of(database, account) or None
        window = Window("id", limit=limit)
        found = (await draft_queries.search(database, actor(), window, account_id=whose)).rows
    lines = [_draft_line(one) for one in found]
    print_rows(
        lines, ("id", "name", "account_id", "type", "numbers", "content", "updated_at"), as_json, empty="no drafts"
    )


@draft.command("show")
@click.argument("id_", metavar="ID", type=int)
@json_option
async def draft_show(ctx: Context, id_: int, as_json: bool) -> None:
    """All that is in it."""
    async with ctx.database() as database:
        line = _draft_line(await _draft(database, id_))
    show_line(line, as_json)


@draft.command("add")
@click.option("--account", required=True)
@_draft_options
@json_option
async def draft_add(ctx: Context, account: str, as_json: bool, **given: Any) -> None:
    """Keep a draft of an account; nothing is checked or sent yet."""
    async with ctx.database() as database:
        whose = await account_id(database, account)
        made = await draft_service.add(ctx.change(database), whose, _state(whose, given))
    if as_json:
        print_json(_draft_line(made))
    else:
        click.echo(f"draft {made.id}; next: smsgwctl draft submit {made.id}")


@draft.command("set")
@click.argument("id_", metavar="ID", type=int)
@_draft_options
@json_option
async def draft_set(ctx: Context, id_: int, as_json: bool, **given: Any) -> None:
    """Replace all that a draft says."""
    async with ctx.database() as database:
        before = await _draft(database, id_)
        state = _state(before.account_id or 0, given)
        await draft_service.put(ctx.change(database), id_, state, state.__struct_fields__, step="content")
        line = _draft_line(await _draft(database, id_))
    show_line(line, as_json)


@draft.command("submit")
@click.argument("id_", metavar="ID", type=int)
@json_option
async def draft_submit(ctx: Context, id_: int, as_json: bool) -> None:
    """Make it a task, through the running daemon; it is a draft no more."""
    body = {"draft": id_}
    with _known(id_):
        made = await control_client.call(
            ctx.settings.control_socket, "POST", "/drafts/submit", body, timeout_s=PATIENCE
        )
    if as_json:
        print_json(made)
    else:
        click.echo(f"task {made['task']}: {made['state']}; next: smsgwctl task show {made['task']}")


@draft.command("remove")
@click.argument("id_", metavar="ID", type=int)
async def draft_remove(ctx: Context, id_: int) -> None:
    """Forget a draft."""
    async with ctx.database() as database:
        with _known(id_):
            await draft_service.remove(ctx.change(database), id_)
    click.echo(f"draft {id_} removed")
