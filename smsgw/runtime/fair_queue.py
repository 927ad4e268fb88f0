"""A fair queue: owners share places, and nobody keeps the others from theirs."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections import OrderedDict
from collections.abc import AsyncIterator, Hashable

from smsgw.core.errors import Temporary

_Line = OrderedDict[Hashable, OrderedDict[asyncio.Future[None], int]]
"""Those of a rank who wait: owners in the order of their turns, each with its requests and the places they want."""


class FairQueue:
    """``total`` places for owners (accounts, addresses, people).

    * **Who is next.** Lower ranks first; in a rank owners in turn, one request each; an owner's requests in the order
      they came. With ``in_a_row`` a rank has so many turns while others wait, then the next of these has one.
    * **Who may have a place.** With ``own`` one owner holds at most so many, and the last ``own`` places are for owners
      who hold none; a request that does not fit yet is passed over, so that who waits for himself keeps nobody waiting.
      Without, everybody waits behind the first that does not fit.
    * **Where places come from.** They are given back (``give``). Or the queue is ``renewed``: its places come back all
      at once (``renew``) and never one by one, and a request that finds one of them free has all that it asks for.
    * **Who is refused**, with ``BACKPRESSURE``: who has ``own_waiting`` requests in a rank; when ``waiting`` are
      in it, the last request of the owner with most, unless that is the new one's or would be; who has waited
      ``patience`` seconds.
    * **Who leaves** (cancelled, refused) is forgotten at once, and a place that was his already goes to the next; of a
      renewed queue it comes back with the others. Only owners who hold or wait are known.
    """

    def __init__(
        self,
        total: int,
        own: int | None = None,
        *,
        own_waiting: float = 64,
        waiting: float = math.inf,
        patience: float | None = None,
        ranks: int = 1,
        in_a_row: float = math.inf,
        renewed: bool = False,
    ) -> None:
        """``own`` is not for a renewed queue: nobody holds its places."""
        self.total = total
        self.own = own
        self._own_waiting = own_waiting
        self._most_waiting = waiting
        self._patience = patience
        self._in_a_row = in_a_row
        self._renewed = renewed
        self._taken = 0
        self._held: dict[Hashable, int] = {}
        """Kept where there is an ``own``."""
        self._lines = tuple(_Line() for _ in range(ranks))
        """Who waits, by rank, in the order of their turns."""
        self._rows = [0] * ranks
        """Turns in a row while later ranks wait."""
        self._requests = 0
        self._wanted: dict[Hashable, int] = {}
        self._all_wanted = 0

    @property
    def taken(self) -> int:
        """Places that somebody has."""
        return self._taken

    @property
    def wanted(self) -> int:
        """Places that requests wait for."""
        return self._all_wanted

    def held(self, owner: Hashable) -> int:
        """Places that the owner has, where there is an ``own``."""
        return self._held.get(owner, 0)

    def wanted_by(self, owner: Hashable) -> int:
        """Places that the owner waits for."""
        return self._wanted.get(owner, 0)

    @contextlib.asynccontextmanager
    async def turn(self, owner: Hashable, n: int = 1, rank: int = 0) -> AsyncIterator[None]:
        """Have ``n`` places within the block. Raises as ``take``."""
        await self.take(owner, n, rank)
        try:
            yield
        finally:
            self.give(owner, n)

    async def take(self, owner: Hashable, n: int = 1, rank: int = 0) -> None:
        """Have ``n`` places (at most ``own``) until they are given back. ``BACKPRESSURE``."""
        if self.try_take(owner, n):
            return
        turn = self.join(owner, n, rank)
        try:
            async with asyncio.timeout(self._patience):
                await turn
        except BaseException as exc:
            self.leave(turn, owner, n, rank)
            if isinstance(exc, TimeoutError):
                raise _refusal(5) from None
            raise

    def try_take(self, owner: Hashable, n: int = 1) -> bool:
        """Have them if that keeps nobody waiting who came before."""
        before = self._requests if self.own is None else owner in self._wanted
        if before or not self._fits(owner, n):
            return False
        self._enter(owner, n)
        return True

    def join(self, owner: Hashable, n: int, rank: int) -> asyncio.Future[None]:
        """Be among those who wait; await the turn, and ``leave`` when that fails. ``BACKPRESSURE``."""
        line = self._lines[rank]
        mine = line.get(owner)
        if self._most_waiting < math.inf or (mine is not None and len(mine) >= self._own_waiting):
            self._make_room(line, len(mine or ()))
        if mine is None:
            mine = line[owner] = OrderedDict()
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        mine[turn] = n
        self._requests += 1
        self._all_wanted += n
        self._wanted[owner] = self._wanted.get(owner, 0) + n
        return turn

    def leave(self, turn: asyncio.Future[None], owner: Hashable, n: int, rank: int) -> None:
        """Wait no more. Those behind may fit now."""
        line = self._lines[rank]
        mine = line.get(owner)
        if mine is not None and mine.pop(turn, None) is not None:
            self._left(line, owner, n)
        if self._renewed:
            return
        if turn.done() and not turn.cancelled() and turn.exception() is None:  # it was its turn already
            self.give(owner, n)
        else:
            self._serve()

    def give(self, owner: Hashable, n: int = 1) -> None:
        """Give ``n`` places back."""
        self._taken -= n
        if self.own is not None:
            left = self._held[owner] - n
            if left:
                self._held[owner] = left
            else:
                del self._held[owner]
        self._serve()

    def renew(self) -> bool:
        """All places are free again: to those who wait, and what is left then to those who come. Whether any is taken,
        or somebody waits still."""
        self._taken = 0
        self._serve()
        return self._taken > 0 or self._requests > 0

    def _fits(self, owner: Hashable, n: int) -> bool:
        if self._renewed:
            return self._taken < self.total
        if self.own is None:
            return self._taken + n <= self.total
        has = self._held.get(owner, 0)
        return has + n <= self.own and self._taken + n <= self.total - (self.own if has else 0)

    def _enter(self, owner: Hashable, n: int) -> None:
        self._taken += n
        if self.own is not None:
            self._held[owner] = self._held.get(owner, 0) + n

    def _make_room(self, line: _Line, mine: int) -> None:
        """For a request of an owner who has ``mine`` waiting: perhaps another gives up its last."""
        if sum(map(len, line.values())) >= self._most_waiting:
            longest = max(line, key=lambda owner: len(line[owner]))
            if len(line[longest]) <= mine + 1:
                raise _refusal(5)
            last, n = line[longest].popitem()
            self._left(line, longest, n)
            if not last.done():
                last.set_exception(_refusal(5))
        elif mine >= self._own_waiting:
            raise _refusal(1)

    def _left(self, line: _Line, owner: Hashable, n: int) -> None:
        """A request of the owner waits no more."""
        if not line[owner]:
            del line[owner]
        self._requests -= 1
        self._all_wanted -= n
        wanted = self._wanted.get(owner, 0) - n
        if wanted:
            self._wanted[owner] = wanted
        else:
            self._wanted.pop(owner, None)

    def _serve(self) -> None:
        """Whoever is next has its places, for as long as there are some."""
        while self._requests and self._taken < self.total:
            first = self._first()
            if not self._serve_one(first) and (
                self.own is None or not any(self._serve_one(line) for line in self._lines if line is not first)
            ):
                return

    def _first(self) -> _Line:
        """Of the lines in which somebody waits, the one whose turn it is."""
        if self._in_a_row == math.inf:
            return next(filter(None, self._lines))
        chosen = -1
        for rank, line in enumerate(self._lines):
            if line:
                if chosen >= 0:
                    self._rows[chosen] = 0
                chosen = rank
                if self._rows[rank] < self._in_a_row:
                    break
        self._rows[chosen] += 1
        return self._lines[chosen]

    def _serve_one(self, line: _Line) -> bool:
        """One request of the first owner for whom there is a place."""
        for _ in range(1 if self.own is None else len(line)):
            owner, mine = next(iter(line.items()))
            turn, n = next(iter(mine.items()))
            fits = self._renewed or self._fits(owner, n)
            if fits or self.own is not None:
                line.move_to_end(owner)
            if fits:
                del mine[turn]
                self._left(line, owner, n)
                if not turn.done():  # its caller may have gone a moment ago
                    self._enter(owner, n)
                    turn.set_result(None)
                return True
        return False


def _refusal(seconds: int) -> Temporary:
    return Temporary("BACKPRESSURE", retry_after=seconds, n=seconds)
