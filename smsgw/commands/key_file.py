"""``smsgwctl key-file``: the keys that seal stored secrets and sign the audit log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import click

from smsgw.commands.base import Context, group, json_option, print_json, print_table
from smsgw.platform.change import Change
from smsgw.platform.handles import Sealer
from smsgw.platform.key_file import queries, service


@group()
def key_file() -> None:
    """The key file: it seals stored secrets and signs the audit log."""


@key_file.command("show")
@json_option
async def key_file_show(ctx: Context, as_json: bool) -> None:
    """The keys by their ids, and what is under them; the first one seals."""
    sealer = ctx.sealer()
    async with ctx.database() as database:
        found = await queries.uses(database, sealer)
    rows = [{"key": key.pop("id"), **key} for key in map(asdict, found.keys)]
    if as_json:
        rest = {"under_old_keys": found.under_old_keys, "missing": found.missing, "stuck": found.stuck}
        print_json({"keys": rows} | rest)
        return
    print_table(rows, ("key", "seals", "secrets", "audit_rows"), empty="")
    if found.under_old_keys:
        click.echo(f"{found.under_old_keys} secrets are sealed with other keys of the file: smsgwctl key-file reseal")
    for id_ in found.missing:
        click.echo(f"the audit log is signed with {id_} as well, which is not in the file: put it back")
    _tell_stuck(found.stuck)


@key_file.command("add")
async def key_file_add(ctx: Context) -> None:
    """Add a new key that only opens for now; copy the file to the other nodes, then ``rotate`` to it on each."""
    ctx.sealer()
    async with ctx.database() as database:
        click.echo(await service.add(ctx.change(database), ctx.settings.key_file))


@key_file.command("rotate")
@click.argument("id_", metavar="[KEY]", required=False)
async def key_file_rotate(ctx: Context, id_: str | None) -> None:
    """Seal and sign with KEY of the file from now on (a new one without KEY), and reseal what is stored.

    Running nodes take it up by themselves. The keys before stay in the file: they verify the audit log.
    """
    sealer = ctx.sealer()
    async with ctx.database() as database:
        change = ctx.change(database)
        first = await service.rotate(change, ctx.settings.key_file, id_)
        click.echo(f"key {first} seals and signs now")
        await _reseal(change, sealer)


@key_file.command("reseal")
async def key_file_reseal(ctx: Context) -> None:
    """Seal everything that is stored with the first key; may be broken off and repeated."""
    async with ctx.database() as database:
        await _reseal(ctx.change(database), ctx.sealer())


async def _reseal(change: Change, sealer: Sealer) -> None:
    done = await service.reseal(change, sealer)
    click.echo(f"{done.changed} of {done.of} stored secrets were sealed anew")
    _tell_stuck(done.stuck)
    if done.stuck:
        raise SystemExit(1)


def _tell_stuck(stuck: Sequence[str]) -> None:
    for context in stuck:
        click.echo(f"does not open with any key of the file: {context}")
