"""``smsgwctl phrase``: shared phrases."""

from __future__ import annotations

from typing import Any

import click

from smsgw.commands.account import account_id
from smsgw.commands.base import Context, Failed, actor, group, json_option, known, limit_option, print_json, print_rows
from smsgw.commands.content import account_id_of
from smsgw.platform import phrases
from smsgw.platform.paging import Window
from smsgw.platform.phrases import PHRASES, Phrase, PhraseDraft, PhraseFilter, PhraseScope


@group()
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
@limit_option
@json_option
async def phrase_list(ctx: Context, account: str, title: str, limit: int, as_json: bool) -> None:
    """Shared phrases, newest first."""
    async with ctx.database() as database:
        wanted = PhraseFilter(title=title, account=await account_id_of(database, account) or None)
        found = (await PHRASES.search(database, actor(), wanted, Window("id", limit=limit))).rows
    lines = [_phrase_line(one) for one in found]
    print_rows(lines, ("id", "title", "content", "scope", "with", "owner"), as_json, empty="no phrases")


@phrase.command("add")
@click.argument("title")
@click.argument("content")
@click.option("--account", required=True, help="Whom it is shared with.")
@json_option
async def phrase_add(ctx: Context, title: str, content: str, account: str, as_json: bool) -> None:
    """Keep a phrase for an account."""
    async with ctx.database() as database:
        wish = PhraseDraft(title, content, PhraseScope.ACCOUNT, account_id=await account_id(database, account))
        id_ = await phrases.add(ctx.change(database), wish)
    if as_json:
        print_json({"id": str(id_)})
    else:
        click.echo(f"phrase {id_}")


@phrase.command("set")
@click.argument("id_", metavar="ID", type=int)
@click.option("--title")
@click.option("--content")
async def phrase_set(ctx: Context, id_: int, title: str | None, content: str | None) -> None:
    """Change a shared phrase; what is not given stays."""
    async with ctx.database() as database:
        one = await PHRASES.get(database, actor(), id_)
        if one is None:
            raise Failed(f"no shared phrase {id_}; smsgwctl phrase list shows them")
        wish = PhraseDraft(
            one.title if title is None else title, one.content if content is None else content, PhraseScope(one.scope),
            one.department_id, one.account_id,
        )  # fmt: skip
        await phrases.put(ctx.change(database), id_, wish)
    click.echo(f"phrase {id_} changed")


@phrase.command("remove")
@click.argument("id_", metavar="ID", type=int)
async def phrase_remove(ctx: Context, id_: int) -> None:
    """Forget a shared phrase."""
    async with ctx.database() as database:
        with known(f"shared phrase {id_}", "smsgwctl phrase list"):
            await phrases.remove(ctx.change(database), id_)
    click.echo(f"phrase {id_} removed")
