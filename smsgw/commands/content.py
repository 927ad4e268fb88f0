"""``smsgwctl word``, ``allow``, ``policy``: what may be said, to whom, how often and when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from smsgw.commands.account import account_id
from smsgw.commands.base import Context, Failed, group, json_option, print_json, print_rows, print_table, say
from smsgw.core import policy as core_policy
from smsgw.core.keywords import Action, Word, replaced
from smsgw.core.model import MessageType
from smsgw.core.numbers import InvalidNumber, mask, normalize
from smsgw.core.policy import LISTED_NAMES, Listed
from smsgw.platform.handles import Database
from smsgw.platform.lists import queries as list_queries, service as lists
from smsgw.platform.policies import queries as policy_queries, service as policies
from smsgw.platform.words import queries as word_queries, service as words

TYPES = click.Choice([str(x) for x in MessageType])
ACTIONS = click.Choice([str(x) for x in Action])


async def account_id_of(database: Database, name: str) -> int:
    """The id of an account; 0 without a name."""
    return await account_id(database, name) if name else 0


def policy_options(function: Any) -> Any:
    """``--account`` and ``--type``, which may be a kind."""
    function = click.option("--type", "kind", default=None, metavar="TYPE", help="Only of this type or kind.")(function)
    return click.option("--account", default="", help="Only this account and those below it.")(function)


def scope_options(function: Any) -> Any:
    """``--account`` and ``--type``."""
    function = click.option("--type", "kind", type=TYPES, default=None, help="Only messages of this type.")(function)
    return click.option("--account", default="", help="Only this account and those below it.")(function)


# --- words ------------------------------------------------------------------------------------------------------


@group()
def word() -> None:
    """Words that a text must not have (敏感词)."""


def _how(function: Any) -> Any:
    for option in (
        click.option("--replacement", default="", help="With replace: instead of the word; asterisks if not given."),
        click.option("--action", type=ACTIONS, default="block", show_default=True),
        click.option("--category", default="", help="What kind of word it is, as people are told."),
    ):
        function = option(function)
    return scope_options(function)


@word.command("add")
@click.argument("texts", nargs=-1, required=True, metavar="WORD...")
@_how
async def word_add(
    ctx: Context, texts: tuple[str, ...], category: str, action: str, replacement: str, account: str, kind: str | None
) -> None:
    """Add words; one that is there already is changed."""
    async with ctx.database() as database:
        scope = await account_id_of(database, account)
        wanted = [Word(t.strip(), category, Action(action), replacement, scope, kind or "") for t in texts]
        n = await words.put(ctx.change(database), wanted)
    await ctx.tell_daemon()
    click.echo(f"{n} word(s)")


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text("utf-8-sig").splitlines()
    except UnicodeDecodeError as exc:
        raise Failed(f"{file} is not UTF-8: {exc}") from exc


@word.command("import")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@_how
async def word_import(
    ctx: Context, file: Path, category: str, action: str, replacement: str, account: str, kind: str | None
) -> None:
    """Add the words of a file, one a line, UTF-8; after a comma or tab the category, the action and the replacement
    may follow. Nothing is done when a line is wrong."""
    lines = _lines(file)
    async with ctx.database() as database:
        scope = await account_id_of(database, account)
        wanted = []
        for number, line in enumerate(lines, 1):
            if not line.strip() or line.startswith("#"):
                continue
            cells = [c.strip() for c in line.replace("\t", ",").split(",")] + [""] * 3
            how = cells[2] or action
            if how not in list(Action):
                raise Failed(f"line {number}: action is one of {', '.join(Action)}")
            wanted.append(Word(cells[0], cells[1] or category, Action(how), cells[3] or replacement, scope, kind or ""))
        n = await words.put(ctx.change(database), wanted)
    await ctx.tell_daemon()
    click.echo(f"{n} word(s)")


@word.command("remove")
@click.argument("text", default="")
@click.option("--category", default="", help="All words of a category.")
@click.option("--account", default="", help="Only where it counts for this account.")
async def word_remove(ctx: Context, text: str, category: str, account: str) -> None:
    """Take a word, or a category, off the list."""
    async with ctx.database() as database:
        scope = await account_id_of(database, account) if account else None
        n = await words.remove(ctx.change(database), word=text, category=category, account_id=scope)
    if not n:
        raise Failed("no such word; see: smsgwctl word list")
    await ctx.tell_daemon()
    click.echo(f"{n} word(s) removed")


@word.command("category")
@click.argument("name")
@click.argument("action", type=ACTIONS)
@click.option("--replacement", default="")
async def word_category(ctx: Context, name: str, action: str, replacement: str) -> None:
    """What happens to texts with a word of the category: block, review or replace."""
    async with ctx.database() as database:
        n = await words.treat(ctx.change(database), name, Action(action), replacement)
    if not n:
        raise Failed(f"no words of the category {name}")
    await ctx.tell_daemon()
    click.echo(f"{n} word(s): {action}")


@word.command("list")
@click.option("--category", default="")
@click.option("--like", default="", help="Words that have this in them.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=1000, show_default=True)
@json_option
async def word_list(ctx: Context, category: str, like: str, limit: int, as_json: bool) -> None:
    """The list."""
    async with ctx.database() as database:
        lines = [
            asdict(one) | {"account": one.account or "all", "type": one.type or "all"}
            for one in await word_queries.page(database, accounts=None, category=category, like=like, limit=limit)
        ]
    print_rows(
        lines, ("word", "category", "action", "replacement", "account", "type"), as_json, empty="no words are listed"
    )


@word.command("test")
@click.argument("text")
@scope_options
@json_option
async def word_test(ctx: Context, text: str, account: str, kind: str | None, as_json: bool) -> None:
    """Which words are found in a text, where, and what becomes of it."""
    async with ctx.database() as database:
        scope = await account_id_of(database, account)
        found = await word_queries.word_filter(database)
    hits = found.find(text, (scope,), kind or "")
    after = replaced(text, [h for h in hits if h.word.action is Action.REPLACE])
    lines = [
        {
            "start": h.start, "end": h.end, "found": text[h.start : h.end], "word": h.word.word,
            "category": h.word.category, "action": h.word.action.value,
        }
        for h in hits
    ]  # fmt: skip
    if as_json:
        print_json({"hits": lines, "text": after})
        return
    print_table(lines, ("start", "end", "found", "word", "category", "action"), empty="no words found")
    if after != text:
        say(f"replaced: {after}")


# --- allow list -------------------------------------------------------------------------------------------------

KINDS = click.Choice([str(x) for x in Listed])


@group()
def allow() -> None:
    """Allow list (白名单): exempt from limits of frequency, the only numbers of an account, or our own test phones."""


def _numbers(texts: tuple[str, ...]) -> list[str]:
    try:
        return [normalize(t) for t in texts]
    except InvalidNumber as exc:
        raise Failed(str(exc)) from exc


@allow.command("add")
@click.argument("kind", type=KINDS)
@click.argument("numbers", nargs=-1, required=True, metavar="NUMBER...")
@click.option("--account", default="", help="Only for this account and those below it; `only` needs it.")
@click.option("--note", default="")
async def allow_add(ctx: Context, kind: str, numbers: tuple[str, ...], account: str, note: str) -> None:
    """Put numbers on the list."""
    async with ctx.database() as database:
        scope = await account_id_of(database, account)
        await lists.allow(ctx.change(database), _numbers(numbers), Listed(kind), account_id=scope, note=note)
    await ctx.tell_daemon()
    click.echo(f"{len(numbers)} number(s): {kind}({LISTED_NAMES[Listed(kind)]})")


@allow.command("remove")
@click.argument("kind", type=KINDS)
@click.argument("numbers", nargs=-1, required=True, metavar="NUMBER...")
@click.option("--account", default="")
async def allow_remove(ctx: Context, kind: str, numbers: tuple[str, ...], account: str) -> None:
    """Take numbers off the list."""
    async with ctx.database() as database:
        scope = await account_id_of(database, account)
        n = await lists.disallow(ctx.change(database), _numbers(numbers), Listed(kind), account_id=scope)
    if not n:
        raise Failed("no such entry; see: smsgwctl allow list")
    await ctx.tell_daemon()
    click.echo(f"{n} number(s) removed")


@allow.command("list")
@click.option("--kind", type=KINDS, default=None)
@click.option("--limit", type=click.IntRange(1, 100_000), default=100, show_default=True)
@click.option("--unmask", is_flag=True, help="Show whole numbers.")
@json_option
async def allow_list(ctx: Context, kind: str | None, limit: int, unmask: bool, as_json: bool) -> None:
    """The newest entries."""
    async with ctx.database() as database:
        if unmask:
            found = await lists.unmask_allowed(ctx.change(database), kind=kind or "", limit=limit)
        else:
            found = await list_queries.newest_allowed(database, accounts=None, kind=kind or "", limit=limit)
    lines = [
        asdict(one) | {"number": one.number if unmask else mask(one.number), "account": one.account or "all"}
        for one in found
    ]
    print_rows(lines, ("number", "kind", "account", "note", "actor", "at"), as_json, empty="the list is empty")


# --- policies ---------------------------------------------------------------------------------------------------


@group()
def policy() -> None:
    """Policies: how often, when, with which signatures; for all, an account or a type."""


def _for(account: str, kind: str | None) -> str:
    """Whom a policy is for, in words."""
    return " and ".join([account or "all accounts", *([f"type {kind}"] if kind else [])])


@policy.command("set")
@click.argument("name", type=click.Choice(tuple(core_policy.FORMS)))
@click.argument("value")
@policy_options
async def policy_set(ctx: Context, name: str, value: str, account: str, kind: str | None) -> str:
    """Change a policy (frequency "1/1m 5/1h 10/1d", hours "mon-fri 09:00-11:30 14:00-17:00", optout require …)."""
    async with ctx.database() as database:
        scope = await account_id_of(database, account)
        await policies.put(ctx.change(database), name, value, account_id=scope, type_=kind or "")
    await ctx.tell_daemon()
    return f"{name} is {value} for {_for(account, kind)}"


@policy.command("clear")
@click.argument("name", type=click.Choice(tuple(core_policy.FORMS)))
@policy_options
async def policy_clear(ctx: Context, name: str, account: str, kind: str | None) -> str:
    """Go back to what is less particular."""
    async with ctx.database() as database:
        scope = await account_id_of(database, account)
        found = await policies.clear(ctx.change(database), name, account_id=scope, type_=kind or "")
    if not found:
        raise Failed("nothing was set there; see: smsgwctl policy list")
    await ctx.tell_daemon()
    return f"{name} is no longer set for {_for(account, kind)}"


@policy.command("list")
@json_option
async def policy_list(ctx: Context, as_json: bool) -> None:
    """What differs from the defaults, after the defaults by type."""
    async with ctx.database() as database:
        changed = await policy_queries.deviations(database, accounts=None)
    lines: list[Mapping[str, Any]] = [
        {"name": name, "account": "default", "type": kind, "value": core_policy.shown(getattr(limits, name))}
        for name in core_policy.FORMS
        for kind, limits in core_policy.DEFAULTS.items()
    ]
    lines += [
        {"name": d.name, "account": d.account or "all", "type": d.type or "all", "value": d.value} for d in changed
    ]
    print_rows(lines, ("name", "account", "type", "value"), as_json, empty="")
