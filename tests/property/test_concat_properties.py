from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from smsgw.core.concat import Reassembly

LIFETIME = 100.0
PLACES = st.integers(1, 4).flatmap(lambda total: st.tuples(st.integers(1, total), st.just(total)))


class ReassemblyMachine(RuleBasedStateMachine):
    """Against a model that holds the parts of every open message: nothing is lost, nothing is given twice."""

    def __init__(self) -> None:
        super().__init__()
        self.box: Reassembly[str] = Reassembly(lifetime=LIFETIME, max_parts=255, repeat_window=0)
        self.now = 0.0
        self.open: dict[int, dict[int, str]] = {}

    @rule(seconds=st.floats(0, 60))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(key=st.integers(0, 5), place=PLACES, part=st.sampled_from("ab"))
    def add(self, key: int, place: tuple[int, int], part: str) -> None:
        number, total = place
        added = self.box.add(key, number, total, part, self.now)
        for lost in added.abandoned:
            assert self.open.pop(lost.key) == lost.parts  # type: ignore[call-overload]
        held = self.open.get(key, {})
        if added.repeated:
            assert held[number] == part
            return
        assert number not in held or total == 1
        if added.whole is None:
            self.open.setdefault(key, {})[number] = part
            return
        if total > 1:
            held = self.open.pop(key, {})
            held[number] = part
            assert added.whole == tuple(held[n] for n in range(1, total + 1))

    @rule()
    def expire(self) -> None:
        for lost in self.box.expire(self.now):
            assert self.open.pop(lost.key) == lost.parts  # type: ignore[call-overload]
        deadline = self.box.deadline()
        assert deadline is None or self.now < deadline <= self.now + LIFETIME

    @invariant()
    def counts(self) -> None:
        assert len(self.box) == len(self.open)
        assert self.box.parts_held == sum(map(len, self.open.values()))


TestReassembly = ReassemblyMachine.TestCase
