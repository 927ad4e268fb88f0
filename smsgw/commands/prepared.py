"""``smsgwctl scenario``, ``draft`` and ``phrase``: what is prepared before something is sent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import click

from smsgw.commands.account import account_id
from smsgw.commands.base import (
    Context,
    Failed,
    actor,
    json_option,
    pass_context,
    print_json,
    print_table,
    run_async,
    say,
)
from smsgw.commands.content import account_id_of
from smsgw.commands.task import TYPES
from smsgw.core.ids import CHINA
from smsgw.core.model import MessageType
from smsgw.node import control_client
from smsgw.platform.drafts import queries as draft_queries
from smsgw.platform.drafts import service as draft_service
from smsgw.platform.drafts.model import Draft, Source, State, When
from smsgw.platform.handles import Database
from smsgw.platform.paging import Window
from smsgw.platform.phrases import queries as phrase_queries
from smsgw.platform.phrases import service as phrase_service
from smsgw.platform.phrases.model import Draft as Wish
from smsgw.platform.phrases.model import Phrase, Scope
from smsgw.platform.phrases.model import Wanted as WantedPhrases
from smsgw.platform.scenarios import queries as scenario_queries
from smsgw.platform.scenarios import service as scenario_service
from smsgw.platform.scenarios.model import MOST_MINUTES, Scenario, Terms, Wanted

_LIMIT = click.option("--limit", type=click.IntRange(1, 1000), default=200, show_default=True)
PATIENCE = 120.0
"""Seconds for a draft to become a task."""

# --- scenarios -------------------------------------------------------------------------------------------------------


@click.group()
def scenario() -> None:
    """Scenarios (业务场景): what a kind of sending always has; the API names one by scenario_id."""


def _plain(one: Scenario) -> dict[str, Any]:
    terms = one.terms
    return {
        "id": str(one.id), "name": terms.name, "account": one.account, "state": one.state, "type": terms.type.value,
        "sign": terms.sign, "template_id": None if terms.template_id is None else str(terms.template_id),
        "extend_code": terms.extend_code, "valid_minutes": terms.valid_minutes,
        "window": f"{terms.window_from}-{terms.window_to}" if terms.window_from else "", "note": terms.note,
        "created_by": one.created_by, "created_at": one.created_at, "updated_at": one.updated_at,
    }  # fmt: skip


def _window(_: click.Context, __: click.Parameter, text: str | None) -> tuple[str, str] | None:
    if not text:
        return None if text is None else ("", "")
    begin, dash, end = text.partition("-")
    if not dash:
        raise click.BadParameter(f"{text}: should be like 08:30-20:00, or empty for any time")
    return begin.strip(), end.strip()


def _terms_options(function: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--note", help="For who sends."),
        click.option("--window", callback=_window, help="HH:MM-HH:MM: only then; empty: at any time."),
        click.option("--valid", type=click.IntRange(0, MOST_MINUTES), help="Minutes it may take; 0: as usual."),
        click.option("--extend-code", help="Digits behind the access code; empty: none."),
        click.option("--template", type=click.IntRange(0), help="Id of an approved template; 0: any text."),
        click.option("--sign", help="Always with this signature; empty: any."),
        click.option("--type", "kind", type=TYPES, help="Type of its messages; notice for a new one."),
    ):  # fmt: skip
        function = option(function)
    return function


def _changed(terms: Terms, given: dict[str, Any]) -> Terms:
    """The terms with what was given."""
    window = given.pop("window")
    kind, valid, template = given.pop("kind"), given.pop("valid"), given.pop("template")
    said: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if window is not None:
        said |= {"window_from": window[0], "window_to": window[1]}
    if kind is not None:
        said["type"] = MessageType(kind)
    if valid is not None:
        said["valid_minutes"] = valid or None
    if template is not None:
        said["template_id"] = template or None
    return replace(terms, **said)


async def _scenario(database: Database, id_: int) -> Scenario:
    found = await scenario_queries.one(database, id_, accounts=None)
    if found is None:
        raise Failed(f"no scenario {id_}; smsgwctl scenario list shows them")
    return found


@scenario.command("list")
@click.option("--account", default="")
@click.option("--state", type=click.Choice(("active", "stopped")))
@_LIMIT
@json_option
@pass_context
@run_async
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
@pass_context
@run_async
async def scenario_show(ctx: Context, id_: int, as_json: bool) -> None:
    """All that it fixes."""
    async with ctx.database() as database:
        line = _plain(await _scenario(database, id_))
    _show(line, as_json)


@scenario.command("add")
@click.argument("name")
@click.option("--account", required=True)
@_terms_options
@json_option
@pass_context
@run_async
async def scenario_add(ctx: Context, name: str, account: str, as_json: bool, **given: Any) -> None:
    """Make a scenario of an account."""
    terms = _changed(Terms(name, MessageType.NOTICE), given)
    async with ctx.database() as database:
        id_ = await scenario_service.add(ctx.change(database), await account_id(database, account), terms)
        line = _plain(await _scenario(database, id_))
    if as_json:
        print_json(line)
    else:
        say(f"scenario {id_}: {name}; the API sends with \"scenario_id\": \"{id_}\"")


@scenario.command("set")
@click.argument("id_", metavar="ID", type=int)
@click.option("--name")
@_terms_options
@json_option
@pass_context
@run_async
async def scenario_set(ctx: Context, id_: int, as_json: bool, **given: Any) -> None:
    """Change what it fixes, for sendings that begin from now on; what is not given stays."""
    async with ctx.database() as database:
        before = await _scenario(database, id_)
        await scenario_service.put(ctx.change(database), id_, _changed(before.terms, given))
        line = _plain(await _scenario(database, id_))
    _show(line, as_json)


@scenario.command("stop")
@click.argument("id_", metavar="ID", type=int)
@pass_context
@run_async
async def scenario_stop(ctx: Context, id_: int) -> None:
    """Nothing is sent with it any more; it stays in the list."""
    async with ctx.database() as database:
        await scenario_service.stop(ctx.change(database), id_)
    click.echo(f"scenario {id_} stopped; undo: smsgwctl scenario start {id_}")


@scenario.command("start")
@click.argument("id_", metavar="ID", type=int)
@pass_context
@run_async
async def scenario_start(ctx: Context, id_: int) -> None:
    """Take a stopped one into use again."""
    async with ctx.database() as database:
        await scenario_service.start(ctx.change(database), id_)
    click.echo(f"scenario {id_} in use")


# --- drafts ----------------------------------------------------------------------------------------------------------


@click.group()
def draft() -> None:
    """Drafts (草稿) of accounts, as the API makes them; those of people are theirs alone and are not here."""


def _draft_line(one: Draft) -> dict[str, Any]:
    state = one.state
    return {
        "id": str(one.id), "name": state.subject, "account_id": str(one.account_id), "scenario_id": state.scenario,
        "type": state.type, "sign": state.sign, "template_id": state.template, "content": state.content,
        "params": state.fixed, "numbers": len(state.to.split("\n")) if state.to else 0, "file_id": state.upload,
        "audience_id": state.audience, "send_at": state.at, "created_at": one.created_at, "updated_at": one.updated_at,
    }  # fmt: skip


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
        at = datetime.fromisoformat(text)
    except ValueError as exc:
        raise click.BadParameter(f"{text}: should be like 2026-05-01T09:00 (China's time)") from exc
    return f"{(at.astimezone(CHINA) if at.tzinfo else at):%Y-%m-%d %H:%M}"


def _draft_options(function: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--at", callback=_moment, help="When to begin, such as 2026-05-01T09:00 (China's time)."),
        click.option("--audience", type=int, help="Id of an audience, instead of numbers."),
        click.option("--to", "to", multiple=True, help="Number; may be repeated."),
        click.option("--param", "params", multiple=True, callback=_pairs, help="VARIABLE=VALUE; may be repeated."),
        click.option("--template", type=int, help="Id of an approved template, instead of a text."),
        click.option("--text", default="", help="The text."),
        click.option("--sign", default="", help="Signature; else the account's."),
        click.option("--type", "kind", type=TYPES, help="Else the scenario's, or notice."),
        click.option("--scenario", type=int, help="Id of a scenario, which decides about much of this."),
        click.option("--name", default="", help="What it is about."),
    ):  # fmt: skip
        function = option(function)
    return function


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
        when=(When.AT if given["at"] else When.NOW).value,
    )  # fmt: skip


@draft.command("list")
@click.option("--account", default="")
@_LIMIT
@json_option
@pass_context
@run_async
async def draft_list(ctx: Context, account: str, limit: int, as_json: bool) -> None:
    """Drafts of accounts, newest first."""
    async with ctx.database() as database:
        whose = await account_id_of(database, account) or None
        window = Window("id", limit=limit)
        found = (await draft_queries.search(database, actor(), window, account_id=whose)).rows
    lines = [_draft_line(one) for one in found]
    if as_json:
        print_json(lines)
    else:
        print_table(lines, ("id", "name", "account_id", "type", "numbers", "content", "updated_at"), empty="no drafts")


@draft.command("show")
@click.argument("id_", metavar="ID", type=int)
@json_option
@pass_context
@run_async
async def draft_show(ctx: Context, id_: int, as_json: bool) -> None:
    """All that is in it."""
    async with ctx.database() as database:
        line = _draft_line(await _draft(database, id_))
    _show(line, as_json)


@draft.command("add")
@click.option("--account", required=True)
@_draft_options
@json_option
@pass_context
@run_async
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
@pass_context
@run_async
async def draft_set(ctx: Context, id_: int, as_json: bool, **given: Any) -> None:
    """Replace all that a draft says."""
    async with ctx.database() as database:
        before = await _draft(database, id_)
        state = _state(before.account_id or 0, given)
        await draft_service.put(ctx.change(database), id_, state, state.__struct_fields__, step="content")
        line = _draft_line(await _draft(database, id_))
    _show(line, as_json)


@draft.command("submit")
@click.argument("id_", metavar="ID", type=int)
@json_option
@pass_context
@run_async
async def draft_submit(ctx: Context, id_: int, as_json: bool) -> None:
    """Make it a task, through the running daemon; it is a draft no more."""
    body = {"draft": id_}
    made = await control_client.call(ctx.settings.control_socket, "POST", "/drafts/submit", body, timeout_s=PATIENCE)
    if as_json:
        print_json(made)
    else:
        click.echo(f"task {made['task']}: {made['state']}; next: smsgwctl task show {made['task']}")


@draft.command("remove")
@click.argument("id_", metavar="ID", type=int)
@pass_context
@run_async
async def draft_remove(ctx: Context, id_: int) -> None:
    """Forget a draft."""
    async with ctx.database() as database:
        await draft_service.remove(ctx.change(database), id_)
    click.echo(f"draft {id_} removed")


# --- phrases ---------------------------------------------------------------------------------------------------------


@click.group()
def phrase() -> None:
    """Phrases (日常用语) that are shared with accounts or departments; people put them into messages."""


def _phrase_line(one: Phrase) -> dict[str, Any]:
    return {
        "id": str(one.id), "title": one.title, "content": one.content, "scope": one.scope, "with": one.shared_with,
        "owner": one.owner, "updated_at": one.updated_at,
    }  # fmt: skip


@phrase.command("list")
@click.option("--account", default="")
@click.option("--title", default="", help="A piece of the title.")
@_LIMIT
@json_option
@pass_context
@run_async
async def phrase_list(ctx: Context, account: str, title: str, limit: int, as_json: bool) -> None:
    """Shared phrases, newest first."""
    async with ctx.database() as database:
        wanted = WantedPhrases(title=title, account_id=await account_id_of(database, account) or None)
        found = (await phrase_queries.search(database, actor(), wanted, Window("id", limit=limit))).rows
    lines = [_phrase_line(one) for one in found]
    if as_json:
        print_json(lines)
    else:
        print_table(lines, ("id", "title", "content", "scope", "with", "owner"), empty="no phrases")


@phrase.command("add")
@click.argument("title")
@click.argument("content")
@click.option("--account", required=True, help="Whom it is shared with.")
@json_option
@pass_context
@run_async
async def phrase_add(ctx: Context, title: str, content: str, account: str, as_json: bool) -> None:
    """Keep a phrase for an account."""
    async with ctx.database() as database:
        wish = Wish(title, content, Scope.ACCOUNT, account_id=await account_id(database, account))
        id_ = await phrase_service.add(ctx.change(database), wish)
    if as_json:
        print_json({"id": str(id_)})
    else:
        click.echo(f"phrase {id_}")


@phrase.command("set")
@click.argument("id_", metavar="ID", type=int)
@click.option("--title")
@click.option("--content")
@pass_context
@run_async
async def phrase_set(ctx: Context, id_: int, title: str | None, content: str | None) -> None:
    """Change a shared phrase; what is not given stays."""
    async with ctx.database() as database:
        one = await phrase_queries.one(database, actor(), id_)
        if one is None:
            raise Failed(f"no shared phrase {id_}; smsgwctl phrase list shows them")
        wish = Wish(
            one.title if title is None else title, one.content if content is None else content, Scope(one.scope),
            one.department_id, one.account_id,
        )  # fmt: skip
        await phrase_service.put(ctx.change(database), id_, wish)
    click.echo(f"phrase {id_} changed")


@phrase.command("remove")
@click.argument("id_", metavar="ID", type=int)
@pass_context
@run_async
async def phrase_remove(ctx: Context, id_: int) -> None:
    """Forget a shared phrase."""
    async with ctx.database() as database:
        await phrase_service.remove(ctx.change(database), id_)
    click.echo(f"phrase {id_} removed")


def _show(line: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(line)
        return
    for name, value in line.items():
        say(f"{name:<14} {'-' if value in (None, '') else value}")
