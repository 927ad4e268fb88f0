"""What is being done to channels: one thing at a time to each, and to each however long the others take."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from typing import Any

from smsgw.runtime import aio


class Changes:
    """Tasks by channel. At most one a channel, so there are never more than channels."""

    def __init__(self) -> None:
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._lately: set[asyncio.Task[None]] = set()

    def __contains__(self, channel_id: int) -> bool:
        return channel_id in self._tasks

    def __iter__(self) -> Iterator[int]:
        return iter(self._tasks)

    def __bool__(self) -> bool:
        return bool(self._tasks)

    def begin(self, channel_id: int, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Do it beside everything else. Only when nothing is being done to the channel; its failure is logged."""
        if channel_id in self._tasks:
            work.close()
            raise RuntimeError(f"channel {channel_id} is being changed already")
        task = aio.spawn(work, name=f"channels.change.{channel_id}")
        self._tasks[channel_id] = task
        self._lately.add(task)
        task.add_done_callback(lambda _: self._done(channel_id, task))
        return task

    def _done(self, channel_id: int, task: asyncio.Task[None]) -> None:
        del self._tasks[channel_id]
        self._lately.discard(task)

    def newer(self) -> None:
        """There is a newer configuration: what was begun before is not what ``lately`` waits for."""
        self._lately.clear()

    async def lately(self) -> None:
        """Until what was begun under this configuration is done, each task within its own limits."""
        if self._lately:
            await asyncio.wait(set(self._lately))

    async def end(self, patience: float) -> None:
        """Until all is done; what takes longer than ``patience`` seconds is cut short."""
        if self._tasks:
            _, late = await asyncio.wait(list(self._tasks.values()), timeout=patience)
            await aio.cancel(*late)
