"""Nodes of tests: composed as the program composes them (``node/build.py``), on a ground of the test's own and with
stand-ins for single parts."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from snapshots import FixedSnapshots, Overlay
from standins import Alone, AnyFleet

from smsgw.channels.services import Services
from smsgw.core.ids import IdSource
from smsgw.core.numbers import Segments
from smsgw.node.build import Composition, Ground
from smsgw.runtime.config import Config, DurabilityConfig, HttpConfig, NodeConfig
from smsgw.runtime.worker_pool import Place
from smsgw.store.engine.database import Database
from smsgw.store.engine.journal import Journal, Replay, boot_id
from smsgw.store.engine.nodes import Number
from smsgw.store.engine.secrets import Sealer


def ground(
    database: Database,
    folder: Path,
    *,
    sealer: Sealer,
    number: int = 1,
    ids: IdSource | None = None,
    journal: Journal | None = None,
    replay: Replay | None = None,
    segments: Segments | None = None,
    min_free_mb: int = 0,
    readers: Database | None = None,
    vital: Database | None = None,
    **settings: Any,
) -> Ground:
    """What a node of a test stands on; ``settings`` go to ``Config``. The journal is not open yet; all have one pool
    where nothing else is said."""
    config = Config(
        node=NodeConfig(number=number, data_dir=folder),
        http=HttpConfig(listen="127.0.0.1:0"),
        durability=DurabilityConfig(min_free_mb=min_free_mb),
    )
    return Ground(
        settings=replace(config, **settings),
        database=database,
        readers=database if readers is None else readers,
        vital=database if vital is None else vital,
        number=Number(number, 1, 0),
        ids=ids or IdSource(number, lambda: time.time_ns() // 1_000_000),
        sealer=sealer,
        journal=journal or Journal(folder / "journal", number, boot_id()),
        replay=replay or Replay(),
        segments=segments or Segments(),
        folders=[folder],
        place=Place(folder),
        home=number,
    )


class Composed(Composition):
    """With stand-ins by the names of the parts; ``relaxed`` is put over the configuration that all of it goes by."""

    def __init__(self, ground: Ground, relaxed: Mapping[str, Any] | None = None, **instead: Any) -> None:
        super().__init__(ground)
        self.follower = super().snapshots
        self.snapshots = self.follower if relaxed is None else Overlay(self.follower, **relaxed)
        self.heartbeat = Alone(self.number)
        for name, part in instead.items():
            if not hasattr(Composition, name):
                raise TypeError(f"a node has no {name}")
            setattr(self, name, part)


def services(
    dsn: str, node: int, journal: Any, outcomes: Any, tables: Any, ids: Any, snapshots: Any = None
) -> Services:
    """What channels share, where there is one node."""
    database: Any = SimpleNamespace(dsn=dsn)
    stand = ground(database, Path(), sealer=Sealer(bytes(32)), number=node, ids=ids, journal=journal)
    return Composed(
        stand, snapshots=snapshots or FixedSnapshots(), outcomes=outcomes, fleet=AnyFleet(), pool_shares=tables
    ).services
