"""``smsgwctl number``: what is known better than the number segments (ported numbers, new segments)."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from smsgw.commands.base import Context, Failed, actor, group, json_option, known, print_json, print_table
from smsgw.commands.number_status import number_status
from smsgw.core.numbers import MAX_OVERRIDES
from smsgw.platform.paging import Window
from smsgw.platform.routing import prefix_imports, queries, service


@group()
def number() -> None:
    """Number overrides: ported numbers (携号转网), segments (号段); number status (空号检测)."""


number.add_command(number_status)


def _read(file: Path) -> prefix_imports.Parsed:
    return prefix_imports.parse(prefix_imports.decode(file.read_bytes()))


@number.command("import")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--dry-run", is_flag=True, help="Only say what it would change.")
@json_option
async def number_import(ctx: Context, file: Path, dry_run: bool, as_json: bool) -> None:
    """Read a CSV of prefix, carrier[, province]; a prefix of 11 digits is one number. All or nothing."""
    try:
        found = _read(file)
    except UnicodeDecodeError as exc:
        raise Failed(f"{file} is neither UTF-8 nor GB 18030: {exc}") from exc
    if found.problems:
        lines = [f"line {one.line}: {one.text}" for one in found.problems]
        wanted = "nothing was imported; wanted: prefix (3–11 digits), carrier, province"
        raise Failed("\n".join([wanted, *lines, f"carriers: {', '.join(sorted(prefix_imports.NAMED))}"]))
    if len(found.entries) > MAX_OVERRIDES:
        raise Failed(f"at most {MAX_OVERRIDES} entries")
    async with ctx.database() as database:
        told = asdict(await prefix_imports.difference(database, found.entries))
        if not dry_run:
            id_ = await prefix_imports.bring_in(ctx.change(database), file.name, found.entries)
            done = await prefix_imports.IMPORTS.get(database, actor(), id_)
            assert done is not None  # noqa: S101 - it was written above
            told |= {"id": id_, "added": done.added, "changed": done.changed, "same": done.same}
    if not dry_run:
        await ctx.tell_daemon()
    if as_json:
        print_json(told)
        return
    click.echo(
        f"{told['added']} added, {told['changed']} changed ({told['learned']} of them learned), {told['same']} as they"
        f" were; of a day's newest messages {told['messages']} are to such numbers, {told['moved']} went otherwise"
    )
    if dry_run:
        click.echo("nothing was imported: a dry run")
    else:
        click.echo(f"import {told['id']}: {told['added'] + told['changed']} entries written")


@number.command("imports")
@json_option
async def number_imports(ctx: Context, as_json: bool) -> None:
    """Files that were brought in, the newest first."""
    async with ctx.database() as database:
        newest = await prefix_imports.IMPORTS.search(database, actor(), None, Window("id", limit=prefix_imports.KEPT))
        found = [asdict(one) for one in newest.rows]
    if as_json:
        print_json(found)
    else:
        columns = ("id", "name", "made_by", "made_at", "added", "changed", "same", "undone", "kept", "open")
        print_table(found, columns, empty="no file was imported")


@number.command("take-back")
@click.argument("id_", metavar="IMPORT", type=int)
async def number_take_back(ctx: Context, id_: int) -> None:
    """Put in place again what an import has replaced, but for what something else has changed since."""
    async with ctx.database() as database:
        with known(f"import {id_}", "smsgwctl number imports"):
            done = await prefix_imports.take_back(ctx.change(database), id_)
    await ctx.tell_daemon()
    click.echo(f"{done.undone} entries taken back, {done.kept} left: they were changed since")


@number.command("find")
@click.argument("prefix")
@json_option
async def number_find(ctx: Context, prefix: str, as_json: bool) -> None:
    """Overrides that begin with these national digits."""
    if not (prefix.isascii() and prefix.isdigit()):
        raise click.BadParameter("digits only", param_hint="PREFIX")
    async with ctx.database() as database:
        lines = [dict(row) for row in await queries.overrides(database, prefix)]
    if as_json:
        print_json(lines)
    else:
        print_table(
            lines,
            ("prefix", "carrier", "province", "source", "learned_code", "at"),
            empty="no override: the segment decides",
        )


@number.command("remove")
@click.argument("prefix")
async def number_remove(ctx: Context, prefix: str) -> str:
    """Forget one override."""
    async with ctx.database() as database:
        if not await service.remove_override(ctx.change(database), prefix):
            raise Failed(f"no override {prefix}")
    await ctx.tell_daemon()
    return f"{prefix} has no override"
