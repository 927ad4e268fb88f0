"""The statement that sees how far the first run has come."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from smsgw.core.ids import first_id
from smsgw.core.states import PartState
from smsgw.runtime import clock
from smsgw.store.engine.database import Database

_LATELY = timedelta(days=2)
"""What the figures of days do not have yet is looked for among the messages of this time."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What is there, whoever has made it and wherever."""

    brand: bool
    """A look is published."""
    channel: bool
    """A channel, simulated or real, connected or not."""
    sign: bool
    """An account with a signature for what it sends."""
    tested: bool
    """A message has been delivered; a simulated carrier counts."""

    @property
    def whole(self) -> bool:
        """Whether nothing is left to do."""
        return self.brand and self.channel and self.sign and self.tested


_PROGRESS = f"""
SELECT EXISTS (SELECT FROM brand WHERE published IS NOT NULL) AS brand,
       EXISTS (SELECT FROM channel WHERE removed_at IS NULL AND id > 0) AS channel,
       EXISTS (SELECT FROM account WHERE id > 0 AND default_sign <> '') AS sign,
       EXISTS (SELECT FROM stat_day WHERE status = 'delivered' AND messages > 0)
           OR EXISTS (SELECT FROM part WHERE id >= $1 AND pool_id > 0
                      AND state = {PartState.DELIVERED.value}) AS tested
"""  # noqa: S608 - constant text


async def progress(database: Database) -> Progress:
    """How far it is, for whoever sets the platform up: it says nothing of anybody's data."""
    row = await database.fetchrow(_PROGRESS, first_id(clock.now() - _LATELY))
    return Progress(**dict(row)) if row else Progress(False, False, False, False)
