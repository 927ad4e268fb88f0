"""What must never happen, watched while a simulation runs and looked for at its end.

The watcher sits on the wire and beside the database, so it knows what was really written, answered and committed; what
the program believes plays no part. The names are those of the promise (docs/durability.md):

* ``claimed``  a part is marked, committed, before it is written;
* ``twice``    it is written again only after every earlier attempt was definitely refused;
* ``owner``    only the node that holds the channel's lease writes on it, and not after the lease's end;
* ``window``   and ``rate``: no carrier has to take more than was agreed;
* ``report``   a report is answered only after its commit;
* ``tags``     a session gives every request back exactly once;
* ``states``   the table of transitions holds;
* ``stranded`` nothing is marked that nobody knows of;
* ``end``      once all is quiet: nothing waits, what was accepted or refused is so in the ledger, the customer was
  told once, and UNKNOWN is only what nobody can know.
"""

from __future__ import annotations

import contextlib
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from simdb import Row, SimDb
from virtual import Process, VirtualLoop, here
from wires import Wire

from smsgw.channels import profiles
from smsgw.channels.wire.mapping import mapping_for
from smsgw.core.model import ChannelSpec, Outcome, OutcomeKind, Report
from smsgw.core.states import FINAL, REFUNDED, TRANSITIONS, PartState
from smsgw.protocols.events import Answer, Closed, Event, Expired, Late
from smsgw.protocols.pdu import RESPONSE, Pdu
from smsgw.protocols.session import Session
from smsgw.simulator.dialects import CarrierDialect
from smsgw.store.engine.journal import Journal, Key

RESPONSE_TIMEOUT = 60.0
CERTAIN = (OutcomeKind.ACCEPTED, OutcomeKind.DEFERRED)
"""A refusal may be of the kind that says nothing (``core.retry.Fault.UNCERTAIN``)."""
Part = tuple[int, int]


@dataclass(slots=True)
class Write:
    """One submit, handed to a connection by a living process."""

    at: float
    part: Part
    process: Process
    wire: Wire
    sequence: Any
    status: int | None = None
    """Of the answer, when the process has read one."""


class Checks:
    """Everything that is known about one run."""

    def __init__(self, loop: VirtualLoop, db: SimDb) -> None:
        self.loop = loop
        self.db = db
        self.violations: list[str] = []
        self.trace: deque[str] = deque(maxlen=20_000)
        self.writes: dict[Part, list[Write]] = defaultdict(list)
        self.numbers: dict[str, int] = {}
        """Number -> id of its message."""
        self.recorded: dict[Key, Process] = {}
        """By whom an attempt was recorded as written."""
        self.known: set[Key] = set()
        """What was answered, and is in a journal."""
        self.taken: dict[Part, int] = defaultdict(int)
        """How often carriers have accepted a part."""
        self.accepted: set[int] = set()
        """Messages of which a node has said that it has them."""
        self.acknowledged: set[tuple[int, str]] = set()
        self.closed = False
        """The run is over; what is still said comes from clearing up."""
        self._lately: dict[tuple[int, Process], deque[float]] = defaultdict(deque)
        self._tags: dict[int, dict[int, str]] = {}
        self._sessions: list[Session] = []
        db.on_change = self._changed

    def note(self, what: str) -> None:
        """A line of the trace."""
        if self.closed:
            return
        process = here()
        self.trace.append(f"{self.loop.time():10.4f} {process.name if process else '':8} {what}")

    def fail(self, name: str, what: str) -> None:
        """A promise is broken."""
        if self.closed:
            return
        self.note(f"VIOLATION {name}: {what}")
        if len(self.violations) < 20:
            self.violations.append(f"{name}: {what} (at {self.loop.time():.4f})")

    def _changed(self, change: str) -> None:
        id_, part, source, target, attempt, epoch, code = change.split(" ", 6)
        name = PartState(int(target)).name
        self.note(f"ledger  {id_}/{part} {source} -> {name} attempt {attempt} epoch {epoch} {code}")
        if source != "<NULL>" and PartState(int(target)) not in TRANSITIONS[PartState(int(source))]:
            self.fail("states", f"part {id_}/{part}: {source} -> {name} is not allowed")

    # --- the wire ----------------------------------------------------------------------------------------------

    def wrote(self, channel: ChannelSpec, write: Write) -> None:
        """A node has handed a submit to a connection."""
        part, now = write.part, write.at
        self.note(f"wire    {part[0]}/{part[1]} written on {channel.name}, sequence {write.sequence}")
        earlier = self.writes[part]
        for one in earlier:
            if not one.status and not (one.status == 0 and self._failed(part)):
                self.fail("twice", f"{part} is written again; the answer of {one.at:.4f} is {one.status}")
        earlier.append(write)
        row = self.db.part(*part)
        if row is None or row["attempt"] < len(earlier):
            self.fail("claimed", f"{part} is written and was not marked: {row and PartState(row['state']).name}")
        lease = self.db.lease(f"channel/{channel.id}")
        node = int(write.process.name.removeprefix("node"))
        if lease is None or lease["node"] != node or lease["expires_at"] <= self.db.clock():
            self.fail("owner", f"node {node} writes {part} on {channel.name}; the lease is {lease}")
        waiting = sum(
            w.wire is write.wire and w.status is None and now - w.at < RESPONSE_TIMEOUT
            for writes in self.writes.values()
            for w in writes
        )
        if waiting > channel.window:
            self.fail("window", f"{waiting} of {channel.window} are out on {channel.name}")
        if channel.rate:
            lately = self._lately[channel.id, write.process]
            while lately and lately[0] <= now - 1.0:
                lately.popleft()
            lately.append(now)
            if len(lately) > channel.rate:
                self.fail("rate", f"{len(lately)} in a second on {channel.name}, {channel.rate} are allowed")

    def listen(self, journal: Journal) -> None:
        """Listen to what a journal is told, as far as its process lives to write it."""
        write, answer = journal.write, journal.answer

        def wrote(keys: Sequence[Key]) -> None:
            write(keys)
            process = here()
            if process is not None and not process.dead:
                self.recorded.update(dict.fromkeys(keys, process))

        def answered(outcomes: Iterable[Outcome]) -> None:
            outcomes = list(outcomes)
            answer(outcomes)
            process = here()
            if process is not None and not process.dead:
                self.known |= {(o.id, o.part, o.attempt) for o in outcomes if o.kind in CERTAIN}

        journal.write, journal.answer = wrote, answered  # type: ignore[method-assign]

    def took(self, number: str, part: int) -> None:
        """A carrier has accepted a part."""
        key = (self.numbers[number], part)
        self.taken[key] += 1
        self.note(f"carrier {key[0]}/{key[1]} taken")
        if self.taken[key] > 1 and not self._failed(key):
            self.fail("twice", f"{key} is with a carrier {self.taken[key]} times")

    def _failed(self, part: Part) -> bool:
        """Whether a carrier has reported that an earlier attempt came to nothing."""
        row = self.db.part(*part)
        return row is not None and row["failed"]

    def acked(self, key: tuple[int, str]) -> None:
        """A node has answered a report."""
        self.acknowledged.add(key)
        if key not in self.db.stored_reports:
            self.fail("report", f"{key} is acknowledged and not stored")

    # --- sessions ----------------------------------------------------------------------------------------------

    def requested(self, session: Session, tag: Any) -> None:
        """A request was recorded."""
        if id(session) not in self._tags:
            self._sessions.append(session)  # kept, so that ids are not used again
        tags = self._tags.setdefault(id(session), {})
        if id(tag) in tags and tags[id(tag)] == "open":
            self.fail("tags", f"{tag} is given twice")
        tags[id(tag)] = "open"

    def came_back(self, session: Session, events: list[Event]) -> None:
        """What a session has said."""
        tags = self._tags.get(id(session), {})
        for event in events:
            match event:
                case Answer(tag=tag):
                    self._settle(tags, tag, "open", "answered")
                case Expired(tag=tag):
                    self._settle(tags, tag, "open", "expired")
                case Late(tag=tag):
                    self._settle(tags, tag, "expired", "late")
                case Closed(lost=lost):
                    for tag in lost:
                        self._settle(tags, tag, "open", "lost")
                    left = sum(state == "open" for state in tags.values())
                    if left:
                        self.fail("tags", f"{left} requests did not come back from a closed session")

    def _settle(self, tags: dict[int, str], tag: Any, before: str, after: str) -> None:
        if tags.get(id(tag)) != before:
            self.fail("tags", f"{tag} comes back as {after} and is {tags.get(id(tag))}")
        tags[id(tag)] = after

    # --- the end -----------------------------------------------------------------------------------------------

    def at_the_end(self) -> None:
        """All is quiet: nothing may wait, and the ledger must be right."""
        messages: dict[int, list[Row]] = defaultdict(list)
        for row in self.db.fetch("SELECT * FROM part ORDER BY id, part"):
            messages[row["id"]].append(row)
            self._judge(row)
        told = Counter(row["message_id"] for row in self.db.fetch("SELECT message_id FROM customer_event"))
        for id_ in self.accepted - messages.keys():
            self.fail("end", f"message {id_} was accepted, and is nowhere")
        for id_, rows in messages.items():
            final = all(row["state"] in FINAL for row in rows)
            if told[id_] != int(final):
                states = [PartState(row["state"]).name for row in rows]
                self.fail("end", f"message {id_} is {states}, and the customer was told {told[id_]} times")

    def _judge(self, row: Row) -> None:
        part, state = (row["id"], row["part"]), PartState(row["state"])
        attempt = (*part, row["attempt"])
        writes = self.writes[part]
        written = [(round(w.at, 3), w.status) for w in writes]
        told = f"{part} is {state.name} ({row['code']}); written {written}, taken {self.taken[part]}"
        if state in (PartState.QUEUED, PartState.DEFERRED, PartState.SENDING):
            stranded = state is PartState.SENDING and attempt not in self.recorded
            self.fail("stranded" if stranded else "end", f"{told}: it waits for ever")
        elif state is PartState.UNKNOWN:
            if attempt in self.known:
                self.fail("end", f"{told}: its answer is in the journal")
            if attempt not in self.recorded:
                self.fail("stranded", f"{told}: nobody has ever recorded it as written")
            elif not self.recorded[attempt].dead and not any(w.status != 0 for w in writes):
                self.fail("end", f"{told}: the answer was read")
            if (row["channel_id"], row["carrier_id"]) in self.acknowledged:
                self.fail("end", f"{told}: its report was acknowledged")
        elif state in REFUNDED:
            if self.taken[part]:
                self.fail("end", f"{told}: the carrier has taken it")
        elif not self.taken[part]:
            self.fail("end", f"{told}: no carrier has it")
        elif state is PartState.SENT and (row["channel_id"], row["carrier_id"]) in self.acknowledged:
            self.fail("end", f"{told}: its report was acknowledged")


class Watcher:
    """Reads along on one connection of a node to a carrier."""

    def __init__(self, checks: Checks, wire: Wire, channel: ChannelSpec, voice: CarrierDialect) -> None:
        self.checks = checks
        self.channel = channel
        self._voice = voice
        self._mapping = mapping_for(channel, profiles.parse(channel.profile, channel.protocol))
        self._submits: dict[Any, Write] = {}
        self._reports: dict[Any, tuple[int, str]] = {}
        self._framers: dict[str, Any] = {}

    def _pdus(self, wire: Wire, stream: str, data: bytes) -> list[Pdu]:
        dialect = wire.client.protocol.session.dialect
        framer = self._framers.get(stream)
        if framer is None:
            framer = self._framers[stream] = dialect.framer()
        pdus = []
        for frame in framer.feed(data):
            with contextlib.suppress(ValueError):  # of a login, in the layout of another version
                pdus.append(dialect.decode(frame))
        return pdus

    def written(self, wire: Wire, by_client: bool, data: bytes) -> None:
        """A process has handed octets over."""
        process = here()
        if process is None:
            return
        if not by_client:
            return
        for pdu in self._pdus(wire, "out", data):
            if pdu.command_id & RESPONSE:
                if (key := self._reports.pop(pdu.sequence, None)) is not None and not _status(pdu):
                    self.checks.acked(key)
                continue
            submission = self._voice.read(pdu)
            if submission is not None:
                number = submission.concat.number if submission.concat else 1
                part = (self.checks.numbers[submission.destinations[0]], number)
                write = Write(self.checks.loop.time(), part, process, wire, pdu.sequence)
                self._submits[pdu.sequence] = write
                self.checks.wrote(self.channel, write)

    def delivered(self, wire: Wire, to_client: bool, data: bytes) -> None:
        """A process is about to read octets."""
        if not to_client:
            return
        for pdu in self._pdus(wire, "in", data):
            if pdu.command_id & RESPONSE:
                write = self._submits.get(pdu.sequence)
                if write is not None and write.status is None:
                    write.status = _status(pdu)
                    self.checks.note(f"wire    {write.part[0]}/{write.part[1]} answered {write.status}")
                continue
            try:
                incoming = self._mapping.incoming(pdu)
            except ValueError:
                continue
            if isinstance(incoming, Report):
                self._reports[pdu.sequence] = (incoming.channel_id, incoming.carrier_id)
                self.checks.note(f"wire    report {incoming.carrier_id} {incoming.code}")


def _status(pdu: Pdu) -> int:
    for name in ("command_status", "result", "status"):
        if hasattr(pdu, name):
            return int(getattr(pdu, name))
    return 0
