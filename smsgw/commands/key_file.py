"""``smsgwctl key-file``: the keys that seal stored secrets and sign the audit log."""

from __future__ import annotations

import secrets as random

import click

from smsgw.commands.base import (
    Context,
    Failed,
    actor,
    json_option,
    pass_context,
    print_json,
    print_table,
    run_async,
)
from smsgw.store.engine import resealing, secrets
from smsgw.store.engine.database import Database
from smsgw.store.engine.secrets import Sealer, key_id
from smsgw.store.records import audit


@click.group()
def key_file() -> None:
    """The key file: it seals stored secrets and signs the audit log."""


_AUDIT = """
SELECT key, count(*) AS n FROM audit_link WHERE seq > (SELECT coalesce(max(seq), 0) FROM audit_checkpoint) GROUP BY key
"""


@key_file.command("show")
@json_option
@pass_context
@run_async
async def key_file_show(ctx: Context, as_json: bool) -> None:
    """The keys by their ids, and what is under them; the first one seals."""
    sealer = ctx.sealer()
    async with ctx.database() as database:
        places = await resealing.reseal(database, sealer, dry=True)
        signed = {row["key"]: row["n"] for row in await database.fetch(_AUDIT, timeout=120)}
    current = sum(place.values - place.changed - len(place.stuck) for place in places)
    rows = [
        {
            "key": id_,
            "seals": n == 0,
            "secrets": current if n == 0 else None,
            "audit_rows": signed.get(id_, 0),
        }
        for n, id_ in enumerate(sealer.ids)
    ]
    under_old = sum(place.changed for place in places)
    missing = sorted(set(signed) - set(sealer.ids))
    stuck = [context for place in places for context in place.stuck]
    if as_json:
        print_json({"keys": rows, "under_old_keys": under_old, "missing": missing, "stuck": stuck})
        return
    print_table(rows, ("key", "seals", "secrets", "audit_rows"), empty="")
    if under_old:
        click.echo(f"{under_old} secrets are sealed with other keys of the file: smsgwctl key-file reseal")
    for id_ in missing:
        click.echo(f"the audit log is signed with {id_} as well, which is not in the file: put it back")
    _tell_stuck(stuck)


@key_file.command("add")
@pass_context
@run_async
async def key_file_add(ctx: Context) -> None:
    """Add a new key that only opens for now; copy the file to the other nodes, then ``rotate`` to it on each."""
    ctx.sealer()
    path, new = ctx.settings.key_file, random.token_bytes(32)
    async with ctx.database() as database:
        secrets.change_keys(path, lambda keys: (*keys, new))
        await audit.record(database, actor().author, "key_file.add", f"key/{key_id(new)}")
    click.echo(key_id(new))


_LIVE = "SELECT count(*) FROM lease WHERE resource LIKE 'node/%' AND expires_at > clock_timestamp()"


@key_file.command("rotate")
@click.argument("id_", metavar="[KEY]", required=False)
@pass_context
@run_async
async def key_file_rotate(ctx: Context, id_: str | None) -> None:
    """Seal and sign with KEY of the file from now on (a new one without KEY), and reseal what is stored.

    Running nodes take it up by themselves. The keys before stay in the file: they verify the audit log.
    """
    sealer = ctx.sealer()
    path = ctx.settings.key_file
    async with ctx.database() as database:
        if id_ is None and await database.fetchval(_LIVE) > 1:
            raise Failed(
                "more nodes than one are running, and each needs the key before anything is sealed with it: "
                "smsgwctl key-file add, copy the key file to every node, then smsgwctl key-file rotate KEY on each"
            )
        first = random.token_bytes(32)

        def put_first(keys: tuple[bytes, ...]) -> tuple[bytes, ...]:
            nonlocal first
            if id_ is not None:
                found = [key for key in keys if key_id(key) == id_]
                if not found:
                    raise Failed(f"no key {id_} in {path}: it has {', '.join(map(key_id, keys))}")
                first = found[0]
            return first, *(key for key in keys if key != first)

        before = secrets.change_keys(path, put_first)
        if first != before[0]:
            await audit.record(
                database,
                actor().author,
                "key_file.rotate",
                f"key/{key_id(first)}",
                before={"key": key_id(before[0])},
            )
        click.echo(f"key {key_id(first)} seals and signs now")
        await _reseal(database, sealer)


@key_file.command("reseal")
@pass_context
@run_async
async def key_file_reseal(ctx: Context) -> None:
    """Seal everything that is stored with the first key; may be broken off and repeated."""
    async with ctx.database() as database:
        await _reseal(database, ctx.sealer())


async def _reseal(database: Database, sealer: Sealer) -> None:
    places = await resealing.reseal(database, sealer)
    changed = sum(place.changed for place in places)
    if changed:
        await audit.record(
            database, actor().author, "key_file.reseal", f"key/{sealer.ids[0]}", after={"values": changed}
        )
    click.echo(f"{changed} of {sum(place.values for place in places)} stored secrets were sealed anew")
    stuck = [context for place in places for context in place.stuck]
    _tell_stuck(stuck)
    if stuck:
        raise SystemExit(1)


def _tell_stuck(stuck: list[str]) -> None:
    for context in stuck:
        click.echo(f"does not open with any key of the file: {context}")
