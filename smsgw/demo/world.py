"""The world of the demo data: its clock, its dice, its texts, and what the domains have made so far."""

from __future__ import annotations

import contextlib
import random
import tomllib
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import Any

from smsgw.core.actor import Actor, ActorLabel
from smsgw.core.ids import CHINA, IdSource
from smsgw.core.numbers import Segments
from smsgw.core.states import PartState
from smsgw.platform.change import Change
from smsgw.runtime import clock
from smsgw.store.engine.database import Database
from smsgw.store.engine.secrets import Sealer

NODE = 1
LINK_DOMAIN = "s.example.gov.cn"
LOCAL_LINKS, LINKS_PORT = "s.localhost", 8081
"""Where ``smsgwctl demo`` serves short links: a name that leads browsers to this machine."""
PREFIXES = {
    "CMCC": ("1360000", "1380013", "1390012", "1500010", "1880100"),
    "CUCC": ("1300108", "1310100", "1560101", "1860100"),
    "CTCC": ("1330100", "1530101", "1890110"),
}
SHARES = {"CMCC": 56, "CUCC": 23, "CTCC": 21}
"""Of a hundred numbers."""


@cache
def texts() -> dict[str, Any]:
    """What the data say."""
    return tomllib.loads(files("smsgw.demo").joinpath("texts.toml").read_text("utf-8"))


@dataclass(frozen=True, slots=True)
class Sender:
    """An account that sends."""

    id: int
    name: str
    sign: str
    share: int
    mix: dict[str, int]


@dataclass(frozen=True, slots=True)
class Text:
    """An approved template and what it says."""

    id: int
    type: str
    content: str


@dataclass(slots=True)
class Sent:
    """A sending task whose messages are made with the others."""

    name: str
    text: Text
    call: Call | None = None
    first: int = 0
    """Id of its first message."""
    link: str = ""
    """Name of the short link that its messages carry; empty: none."""


@dataclass(frozen=True, slots=True)
class Call:
    """What was sent at one moment: a text to some numbers."""

    at: datetime
    sender: Sender
    type: str
    origin: str
    submitter: ActorLabel
    content: str
    """With the signature."""
    numbers: tuple[str, ...]
    template_id: int = 0
    state: PartState | None = None
    """Where all of it stands; None: wherever chance has led it."""
    due: datetime | None = None
    task: Sent | None = None


@dataclass
class World:
    """What the domains share. ``now`` is the moment at which the history ends."""

    database: Database
    sealer: Sealer
    segments: Segments
    now: datetime
    days: int
    daily: int
    """Messages of an ordinary working day."""
    seed: int
    password_hash: str
    """Of every person."""
    ports: dict[str, int]
    """Channel -> port of its carrier on loopback; a channel without one is stopped."""
    link_domain: str = LINK_DOMAIN
    dice: random.Random = field(init=False)
    at: datetime = field(init=False)
    """The time that it is at the moment."""
    departments: dict[str, int] = field(default_factory=dict)
    senders: dict[str, Sender] = field(default_factory=dict)
    channels: dict[str, int] = field(default_factory=dict)
    """Carrier -> the channel that serves it."""
    pools: dict[str, int] = field(default_factory=dict)
    coded: datetime | None = None
    """Since when a rule leads codes to CMCC into a pool of their own."""
    templates: dict[tuple[str, str], Text] = field(default_factory=dict)
    """By account and name."""
    numbers: list[str] = field(default_factory=list)
    """E.164 digits of those who get messages, with some that get more than others."""
    tasks: list[Sent] = field(default_factory=list)
    later: list[tuple[datetime, Callable[[], Awaitable[None]]]] = field(default_factory=list)
    """What happens in the course of the history; done in the order of time when the messages are there."""

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)  # noqa: S311 - the same each time
        self.at = self.start
        self.ids = IdSource(NODE, lambda: int(self.at.timestamp() * 1000))
        self._made = 0

    @property
    def start(self) -> datetime:
        """Midnight in China of the first day."""
        first = (self.now - timedelta(days=self.days - 1)).astimezone(CHINA)
        return first.replace(hour=0, minute=0, second=0, microsecond=0).astimezone(UTC)

    def change(self, actor: Actor | None = None) -> Change:
        """A change by the demo data, at the time that it is."""
        return Change(self.database, actor or Actor.system("demo"), ids=lambda: self.id_at(self.at))

    @contextlib.contextmanager
    def then(self, at: datetime) -> Iterator[None]:
        """Inside it is that time: for services, and for what they enter into the audit log."""
        was, self.at = self.at, at
        token = clock.current.set(clock.Clock(wall=at.timestamp))
        try:
            yield
        finally:
            clock.current.reset(token)
            self.at = was

    async def date(self, columns: str) -> None:
        """Give rows that the database has dated with its own time the one that it is said to be: ``table.column …``."""
        for table, column in (name.split(".") for name in columns.split()):
            statement = f"UPDATE {table} SET {column} = $1 WHERE {column} >= $2"  # noqa: S608 - names of ours
            await self.database.execute(statement, self.at, self.now)

    def id_at(self, at: datetime) -> int:
        """An id of that moment, of events; none is made twice."""
        self._made = self._made + 1 & 0xFFF
        moment = IdSource(NODE, lambda: int(at.timestamp() * 1000)).next()
        return moment | self._made

    def number(self) -> str:
        """A mobile number, of the carriers as they are among people."""
        carrier = self.dice.choices(list(SHARES), list(SHARES.values()))[0]
        return f"86{self.dice.choice(PREFIXES[carrier])}{self.dice.randrange(10_000):04d}"

    def moment(self, day: int, hour: int) -> datetime:
        """Some time in that hour (China) of a day of the history, counted from 0; never later than ``now``."""
        at = self.start + timedelta(days=day, hours=hour, seconds=self.dice.uniform(0, 3600))
        if at > self.now - timedelta(seconds=30):  # of today, and not yet: lately
            at = self.now - timedelta(seconds=self.dice.uniform(30, 4 * 3600))
        return at
