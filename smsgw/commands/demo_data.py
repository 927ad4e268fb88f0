"""``smsgwctl demo-data``: an empty database gets a history to look at."""

from __future__ import annotations

import asyncio

import click

from smsgw.admin.hashing import hash_password
from smsgw.admin.strength import one_time_password
from smsgw.commands.base import Context, command
from smsgw.core.ids import CHINA
from smsgw.demo.fill import DAILY, DAYS, MAX_DAILY, MAX_DAYS, SEED, fill
from smsgw.demo.world import LINKS_PORT, LOCAL_LINKS
from smsgw.runtime import clock


@command()
@click.option("--days", type=click.IntRange(2, MAX_DAYS), default=DAYS, show_default=True, help="Of the history.")
@click.option(
    "--daily", type=click.IntRange(20, MAX_DAILY), default=DAILY, show_default=True, help="Messages of a working day."
)
@click.option("--seed", type=int, default=SEED, show_default=True, help="The same seed makes the same history.")
async def demo_data(ctx: Context, days: int, daily: int, seed: int) -> None:
    """Fill an empty database with demo data: an organisation, its people, and what they have sent for weeks.

    Refuses where accounts, channels or messages are. Channels are stopped; ``smsgwctl demo`` over the same data
    directory gives them simulated carriers.
    """
    password = await asyncio.to_thread(one_time_password, "demo", "demo")
    hashed = await asyncio.to_thread(hash_password, password)
    async with ctx.database() as database:
        filled = await fill(
            database, ctx.sealer(), password_hash=hashed, now=clock.now(), days=days, daily=daily, seed=seed,
            link_domain=next(iter(ctx.settings.public.hosts), f"{LOCAL_LINKS}:{LINKS_PORT}"),
        )  # fmt: skip
    until = clock.now().astimezone(CHINA).date()
    click.echo(f"{filled.messages} messages of {days} days until {until}; all of it is demo data")
    click.echo(f"people    {' '.join(filled.people)}")
    click.echo(f"password  {password}  (of each of them)")
