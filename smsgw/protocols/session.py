"""One connection of a protocol, without the connection: octets and the time go in, events and octets come out.

A `Session` has no socket, no clock and no task. Its owner (the shell) does five things:

* gives it what the transport received (`receive`) and what time it is (`now`: seconds, monotonic);
* writes what it has to say (`output`) after every call;
* calls `tick` when `deadline` has passed, and asks for the deadline anew after every call;
* stops reading while `wants_input` says no, and tells when it does (`reading`);
* on `CloseNow` flushes and closes the transport, and says when the transport is gone (`closed`).

What it promises:

* Every tag given to `request` comes back exactly once: in an `Answer`, in an `Expired`, or in `Closed.lost`. After
  `Expired` an answer may still come, as a `Late` with the same tag.
* Never more than `window` requests are without an answer, and a request is recorded before it is written.
* A sequence number is not used again while its request is unanswered, nor while it has expired without an answer.
* Whatever the peer sends, no exception leaves `receive`. It is answered, noted as a `Violation`, or ends the
  connection; and everything that is held has a limit in `SessionConfig`.
* Requests that are too many wait: those of the last read here, undecoded, the others with the peer. Answers and
  keep-alives pass them by; a peer that is not read is not judged by its silence.

Both roles and all protocols are this one class; what differs stands in `states.py` (tables) and in a `Rules`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from math import inf
from typing import Any, Final

from smsgw.protocols.dialects import Dialect
from smsgw.protocols.dump import masked
from smsgw.protocols.errors import FramingLost, Malformed
from smsgw.protocols.events import (
    Answer,
    Bound,
    Closed,
    CloseNow,
    Event,
    Expired,
    Late,
    LoginRequest,
    Notice,
    Refused,
    Request,
    Sequence,
    Tag,
    Violation,
)
from smsgw.protocols.pdu import RESPONSE, Pdu
from smsgw.protocols.rules import Rules, error_answer
from smsgw.protocols.states import BOUND, BOUND_BY, OVER, TRANSITIONS, Kind, Operation, Role, State, Trigger

VIOLATIONS: Final = frozenset(
    {
        "framing",  # a length field that cannot be: the stream is lost
        "malformed",  # a body that does not fit its table
        "unknown-command",
        "unknown-answer",  # an answer nobody asked for: duplicate, or long after its request expired
        "wrong-answer",  # the answer of another command to a number that is outstanding
        "wrong-state",  # a request that this side may not send now
        "window",  # a request beyond the window that the peer was given (`refuses_beyond`)
        "authenticator",  # the server's proof of the shared secret does not fit
        "version",  # the login answer contradicts itself
    }
)


class NotBound(Exception):
    """The session is not in a state in which this request may be sent."""


class WindowFull(Exception):
    """`window` requests are without an answer; try again after the next answer."""


class AlreadyAnswered(Exception):
    """`answer` was called twice for one request: a mistake of the caller."""


@dataclass(frozen=True, slots=True)
class SessionConfig:
    """Limits and timers of a session. All times in seconds; None switches a timer off where that is allowed."""

    window: int = 16
    """Requests of ours without an answer (CMPP: W = 16, per connection)."""
    login_timeout: float = 10.0
    """From `start` to a completed login (SMPP session_init_timer)."""
    response_timeout: float = 60.0
    """From a request to `Expired` (CMPP T, SMPP response_timer)."""
    keepalive_interval: float | None = 30.0
    """Silence of the peer after which it is tested (CMPP C, SMPP enquire_link_timer)."""
    keepalive_timeout: float = 15.0
    """Wait after a test before the next one. Any octet of the peer counts as a sign of life."""
    keepalive_attempts: int = 3
    """Tests without a sign of life before the connection is given up (CMPP N)."""
    idle_timeout: float | None = None
    """Silence of the peer after which we log out (SMPP inactivity_timer); for servers."""
    frame_timeout: float = 30.0
    """A frame that was begun must be complete within this time, or the stream cannot be trusted any more."""
    close_grace: float = 5.0
    """Polite close: wait for outstanding answers, and again for the answer to the logout."""
    leave_grace: float = 1.0
    """The peer logs out: wait for answers that it may still have in hand."""
    max_frame: int | None = None
    """Octets of a PDU; None takes the limit of the dialect."""
    max_violations_per_minute: int = 100
    max_unanswered_in: int = 256
    """Requests of the peer that we have not answered; more are left unread until half of them are."""
    max_unanswered_octets: int = 512 * 1024
    """The same in octets of these requests."""
    refuses_beyond: bool = False
    """The peer was told that it has a window of `max_unanswered_in`: the first request beyond it is refused."""
    max_input: int = 1024 * 1024
    """Octets received that are left undecoded; a shell that reads on when it should not ends the connection."""
    max_deaf: float = 300.0
    """Seconds without reading the peer that do not count towards `response_timeout`: its answers may lie unread."""
    max_expired: int = 4096
    """Expired requests remembered for their late answers."""
    max_output: int = 4 * 1024 * 1024
    """Octets not yet fetched by `output`: a peer that sends but does not read is cut off."""


class _Sent:
    """A request of ours that waits for its answer."""

    __slots__ = ("at", "due", "op", "tag")

    def __init__(self, op: Operation, tag: Tag, at: float, due: float) -> None:
        self.op = op
        self.tag = tag
        self.at = at
        self.due = due
        """Of the heard time, see `_heard_time`."""


_MAX_TESTS: Final = 16
"""Keep-alive requests remembered for their answers; a peer that talks but never answers them must not fill memory."""


class Session:
    """See the module. `rules` come from the `client` and `server` factories of a protocol's `rules.py`."""

    def __init__(self, rules: Rules, *, config: SessionConfig, first_sequence: int | None = None) -> None:
        self.rules = rules
        self.config = config
        self.window = config.window
        """May be changed while the session runs; what is outstanding stays outstanding."""
        self.state = State.OPEN
        self.dialect: Dialect = rules.dialect
        self._matrix = rules.matrix
        self._framer = rules.dialect.framer(config.max_frame)
        self._accepts: dict[int, Operation] = {}
        self._sends: dict[int, Operation] = {}
        self._mode = State.OPEN  # the bound state that was reached, kept while draining
        self._keepalive = rules.matrix.keepalive
        self._logout = rules.matrix.logout

        self._events: list[Event] = []
        self._output: list[bytes] = []
        self._output_size = 0

        self._counter = rules.sequences[0] if first_sequence is None else first_sequence
        # The response timeout is one for all, so the order of insertion is the order of expiry.
        self._outstanding: dict[Sequence, _Sent] = {}
        self._expired: dict[Sequence, _Sent] = {}
        self._tests: dict[Sequence, Operation] = {}
        self.tests_answered = 0
        """Keep-alives of ours that have had their answer."""
        self._login: Pdu | None = None  # client: what we sent; server: what waits for admit or refuse
        self._negotiating = False  # client: the login is out, the layout of what comes is not settled
        self._logout_sequence: Sequence | None = None  # of our logout request
        self._peer_logout: Sequence | None = None  # of the peer's
        self._owed: dict[int, int] = {}
        """Octets of the requests that wait for our answer, by their serial."""
        self._owed_octets = 0
        self._serial = 0
        self._full = False
        """So many requests are unanswered that the next must wait, until half of them are answered."""
        self._held: deque[bytes] = deque()
        """Frames that wait for that, undecoded."""
        self._held_octets = 0

        # Points in time; inf = not running.
        self._heard = -inf
        self._deaf_since: float | None = None
        """Since when the shell does not read."""
        self._deaf = 0.0
        """Seconds in which it did not, as far as they do not count against the peer."""
        self._login_by = inf
        self._frame_by = inf
        self._close_by = inf
        self._answers_by = inf  # LEAVING: how long the peer's last answers are waited for
        self._tested = -inf
        self._missed = 0
        self._unsettled = False
        self._why = "closed"
        self._violations = 0
        self._violations_since = -inf
        self._enter(State.OPEN)

    # -- what the shell calls -----------------------------------------------------------------------------------

    def start(self, now: float) -> None:
        """The transport is connected. A client says its login; for both sides the login timeout begins."""
        self._heard = now
        self._login_by = now + self.config.login_timeout
        if self.rules.role is Role.CLIENT:
            login = self.rules.login()
            login.sequence = self._next_sequence()
            self._login = login
            self._negotiating = True
            self._move(Trigger.LOGIN)
            self._say(login)

    def receive(self, data: bytes, now: float) -> list[Event]:
        """Take octets as they came from the transport, cut anywhere. Never raises for what is in them."""
        if self._over:
            return self._take()
        self._heard = now
        self._missed = 0
        lost: FramingLost | None = None
        frames: Iterable[bytes]
        try:
            frames = self._framer.feed(data)
        except FramingLost as error:
            lost = error
            frames = error.frames
        for frame in frames:
            if self._full or self._held:
                self._behind(frame, now)
            else:
                self._frame(frame, now)
            if self._over:
                break
        else:
            if lost is not None:
                self._framing_lost(lost, now)
            elif not self._framer.pending:
                self._frame_by = inf
            elif frames or self._frame_by == inf:
                self._frame_by = now + self.config.frame_timeout
        if self._unsettled:
            self._settle(now)
        return self._take()

    def tick(self, now: float) -> list[Event]:
        """Do what is due. Calling it too early is harmless."""
        if not self._over:
            self._go_on(now)
            self._expire(now)
            if now >= self._login_by:
                self._end("login-timeout")
            elif now >= self._frame_by and self._deaf_since is None:
                self._end("frame-timeout")
            elif self._bound or self.state is State.DRAINING:
                self._keep_alive(now)
                idle = self.config.idle_timeout
                if idle is not None and now >= self._heard + idle and self._bound and self._deaf_since is None:
                    self.close(now, "idle")
            if self._unsettled or now >= self._close_by or now >= self._answers_by:
                self._settle(now)
        return self._take()

    def deadline(self) -> float | None:
        """When `tick` must be called next; a time in the past means at once. None: no timer is running."""
        if self._events:
            return -inf
        if self._over:
            return None
        if self._unsettled or (self._held and not self._full):
            return -inf
        deaf = self._deaf_since is not None
        due = min(self._login_by, self._close_by)
        if not deaf:
            due = min(due, self._frame_by)
        if not self._owed:
            due = min(due, self._answers_by)
        for sent in self._outstanding.values():
            due = min(due, self._due(sent))
            break
        if self._bound or self.state is State.DRAINING:
            due = min(due, self._test_at())
            if self.config.idle_timeout is not None and self._bound and not deaf:
                due = min(due, self._heard + self.config.idle_timeout)
        return None if due == inf else due

    def output(self) -> bytes:
        """What must be written to the transport now, in order; fetching it empties it."""
        chunks = self._output
        if not chunks:
            return b""
        self._output = []
        self._output_size = 0
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def close(self, now: float, why: str = "closed") -> None:
        """Leave politely: wait for answers, log out, wait for that answer, then `CloseNow`. May be repeated."""
        if self.state in (State.OPEN, State.BINDING):
            self._end(why)
            return
        if self._bound:
            self._why = why
            self._close_by = now + self.config.close_grace
            self._unsettled = True
        behind, self._held, self._held_octets = self._held, deque(), 0
        self._move(Trigger.CLOSE)
        for frame in behind:
            self._behind(frame, now)

    def closed(self, why: str, now: float) -> list[Event]:
        """The transport is gone. Gives back every outstanding tag; the second call gives nothing."""
        if self.state is State.CLOSED:
            return self._take()
        if not self._over:
            self._expire(now)
        self._move(Trigger.GONE)
        events = [event for event in self._take() if type(event) is not CloseNow]
        lost = tuple(sent.tag for sent in self._outstanding.values())
        self._outstanding.clear()
        self._owed.clear()
        self._held.clear()
        self._unsettled = False
        events.append(Closed(why, lost))
        return events

    @property
    def wants_input(self) -> bool:
        """Whether the shell is to read on. While we leave it always is: it is answers that we wait for."""
        return not (self._full or self._held) or not self._bound

    def reading(self, yes: bool, now: float) -> None:
        """The shell has stopped reading, for this session's reasons or its own, or has taken it up again."""
        if yes is (self._deaf_since is None):
            return
        if yes:
            assert self._deaf_since is not None  # noqa: S101
            self._deaf += min(now - self._deaf_since, self.config.max_deaf)
            self._frame_by += now - self._deaf_since
        self._deaf_since = None if yes else now
        self._heard = now
        self._missed = 0

    # -- what the owner calls -----------------------------------------------------------------------------------

    @property
    def outstanding(self) -> int:
        """Requests of ours without an answer."""
        return len(self._outstanding)

    @property
    def window_free(self) -> int:
        """Requests that may be sent now."""
        return max(0, self.window - len(self._outstanding)) if self._bound else 0

    @property
    def owed(self) -> int:
        """Requests of the peer that we have not answered yet."""
        return len(self._owed)

    @property
    def half_frame(self) -> bytes:
        """The octets received so far of a PDU that is not complete."""
        return self._framer.held

    def owes(self, request: Request) -> bool:
        """Whether this request of the peer waits for `answer`."""
        return request.serial in self._owed

    def request(self, pdu: Pdu, now: float, tag: Tag) -> Sequence:
        """Send a request; its sequence number is set here and returned.

        Raises `NotBound` when this side may not send it in this state, `WindowFull` when the window is used up, and
        what the codec raises for a field that does not fit; in all three cases nothing was sent or recorded.
        """
        op = self._sends.get(pdu.command_id)
        if op is None or op.kind is not Kind.DATA or not self._bound:
            raise NotBound(f"{type(pdu).__name__} cannot be sent in state {self.state.name}")
        if len(self._outstanding) >= self.window:
            raise WindowFull(f"{len(self._outstanding)} of {self.window} requests are without an answer")
        sequence = self._next_sequence()
        pdu.sequence = sequence
        octets = self.dialect.encode(pdu)
        self._outstanding[sequence] = _Sent(op, tag, now, self._heard_time(now) + self.config.response_timeout)
        self._write(octets)
        return sequence

    def answer(self, request: Request, pdu: Pdu | None = None, *, status: int = 0, **fields: Any) -> bool:
        """Answer a request of the peer: with a ready PDU, or with `status` and the fields of its answer.

        Fields that an answer repeats from its request (CMPP DELIVER_RESP Msg_Id) are filled in unless given.
        Returns False when the connection is over and the answer can reach nobody. Raises `AlreadyAnswered`.
        """
        if self._over:
            return False
        if request.serial not in self._owed:
            raise AlreadyAnswered(f"{type(request.pdu).__name__} {request.pdu.sequence}")
        op = self._matrix.requests[request.pdu.command_id]
        if pdu is None:
            for name in op.echo:
                fields.setdefault(name, getattr(request.pdu, name))
            if op.status is not None:
                fields[op.status] = status
            pdu = op.answer(request.pdu.sequence, fields)
        else:
            pdu.sequence = request.pdu.sequence
        octets = self.dialect.encode(pdu)
        self._write(octets)
        self.forget(request)
        return True

    @property
    def heard_at(self) -> float:
        """When the peer last said anything, or was last begun to be read again."""
        return self._heard

    def test(self) -> bool:
        """Send a keep-alive at once, however much the peer says; ``tests_answered`` counts its answer. False: none can
        be sent."""
        if not self._bound or self._keepalive is None:
            return False
        self._test(self._keepalive)
        return True

    def forget(self, request: Request) -> None:
        """Let a request of the peer go without an answer: the peer keeps it, and brings it again."""
        self._owed_octets -= self._owed.pop(request.serial, 0)
        if (
            self._full
            and len(self._owed) <= self.config.max_unanswered_in // 2
            and self._owed_octets <= self.config.max_unanswered_octets // 2
        ):
            self._full = False
        if not self._owed and not self._bound:
            self._unsettled = True

    def admit(self, login: LoginRequest, *, now: float, **details: Any) -> bool:
        """Server: accept a login; `details` are those of the protocol's rules (CMPP: `secret`).

        Returns False when the peer is gone or gave up meanwhile.
        """
        if not self._awaits(login):
            return False
        admission = self.rules.admit(login.pdu, details)
        admission.answer.sequence = login.pdu.sequence
        self.dialect = admission.dialect
        self._say(admission.answer)
        self._bind(self.rules.mode(self._matrix.requests[login.pdu.command_id], login.pdu))
        return True

    def refuse(self, login: LoginRequest, status: int, *, now: float) -> bool:
        """Server: refuse a login; `CloseNow` comes with the next events. False as in `admit`."""
        if not self._awaits(login):
            return False
        self._refuse(login.pdu, status)
        return True

    # -- frames -------------------------------------------------------------------------------------------------

    def _behind(self, frame: bytes, now: float) -> None:
        """A frame while others wait, or must: requests get in line, the rest passes them.

        While we leave nothing gets in line. A carrier keeps what is not answered and brings it again; a client must
        know that its submit was not taken.
        """
        command = int.from_bytes(frame[4:8], "big")
        keepalive = self._keepalive is not None and command == self._keepalive.request.command_id
        if command & RESPONSE or keepalive:
            self._frame(frame, now)
        elif self._bound:
            self._held.append(frame)
            self._held_octets += len(frame)
            if self._held_octets > self.config.max_input:
                self._end("input-overflow")
        elif command == self._logout.request.command_id:
            self._frame(frame, now)
        elif self.rules.role is Role.SERVER:
            self._turn_away(frame)

    def _turn_away(self, frame: bytes) -> None:
        try:
            pdu = self.dialect.decode(frame)
        except Malformed:
            return
        op = self._matrix.requests.get(pdu.command_id)
        if op is not None and op.kind is Kind.DATA:
            self._reject(op, pdu.sequence, op.busy)

    def _go_on(self, now: float) -> None:
        """Take up what waits, as far as there is room."""
        while self._held and not self._full and not self._over:
            frame = self._held.popleft()
            self._held_octets -= len(frame)
            self._frame(frame, now)

    def _frame(self, frame: bytes, now: float) -> None:
        dialect = self.rules.login_dialect(frame) if self._negotiating else self.dialect
        try:
            pdu = dialect.decode(frame)
        except Malformed as error:
            self._malformed(error, masked(frame, dialect.header_size), now)
            return
        command = pdu.command_id
        if command & RESPONSE:
            sequence = pdu.sequence
            sent = self._outstanding.get(sequence)
            if sent is None:
                self._other_answer(pdu, frame, dialect, now)
            elif self._answers(sent.op, command):
                del self._outstanding[sequence]
                self._events.append(Answer(sent.tag, pdu, self._status(sent.op, pdu), now - sent.at, frame))
                if not self._bound:
                    self._unsettled = True
            else:
                self._violate("wrong-answer", f"{type(pdu).__name__} for {sequence}", now)
            return
        op = self._accepts.get(command)
        if op is None:
            self._unwelcome(pdu, frame, now)
        elif op.kind is Kind.DATA:
            self._take_request(op, pdu, frame)
        else:
            self._serve(op, pdu, now)

    def _take_request(self, op: Operation, pdu: Pdu, frame: bytes) -> None:
        config = self.config
        if config.refuses_beyond and len(self._owed) >= config.max_unanswered_in:
            # Not counted: going over the window is answered, by the peer slowing down, and by not reading it.
            self._events.append(Violation("window", f"{len(self._owed)} requests unanswered"))
            self._reject(op, pdu.sequence, op.busy)
            self._full = True
            return
        self._serial += 1
        self._owed[self._serial] = len(frame)
        self._owed_octets += len(frame)
        many = len(self._owed) >= config.max_unanswered_in and not config.refuses_beyond
        if many or self._owed_octets >= config.max_unanswered_octets:
            self._full = True
        self._events.append(Request(pdu, self._serial, frame))

    def _serve(self, op: Operation, pdu: Pdu, now: float) -> None:
        """What the session answers itself."""
        match op.kind:
            case Kind.KEEPALIVE:
                self._acknowledge(op, pdu.sequence)
            case Kind.LOGOUT:
                self._peer_leaves(pdu.sequence, now)
            case Kind.LOGIN:
                self._login = pdu
                self._move(Trigger.LOGIN)
                status = self.rules.screen(pdu)
                if status is None:
                    self._events.append(LoginRequest(pdu, pdu.sequence))
                else:
                    self._events.append(Refused(status, "refused by the rules of the protocol", pdu))
                    self._refuse(pdu, status)
            case _:
                self._events.append(Notice(pdu))

    def _unwelcome(self, pdu: Pdu, frame: bytes, now: float) -> None:
        """A request that the matrix does not give to the peer in this state, or that it does not know."""
        faults = self.rules.faults
        op = self._matrix.requests.get(pdu.command_id)
        if op is None:
            self._violate("unknown-command", f"command {pdu.command_id:#010x}, sequence {pdu.sequence}", now)
            if faults.unknown_command is not None:
                self._nack(pdu.sequence, faults.unknown_command)
            if faults.closes_on_syntax:
                self._end("unknown-command")
            return
        if self.state is State.UNBINDING:
            # It crossed our logout, which is nobody's fault. A carrier keeps what is not answered and brings it again;
            # a refusal may be the end of it. A client must know that its submit was not taken.
            if faults.leaving is not None and self.rules.role is Role.SERVER:
                self._reject(op, pdu.sequence, faults.leaving)
            return
        self._violate("wrong-state", f"{type(pdu).__name__} in state {self.state.name}", now)
        if self._over:
            return
        if self._mode in op.tolerated and op.kind is Kind.DATA and self._bound:
            self._take_request(op, pdu, frame)
        elif op.kind is Kind.LOGIN and self.state is not State.OPEN:
            if faults.already_bound is not None:
                self._reject(op, pdu.sequence, faults.already_bound)
        elif faults.closes_before_login and self._mode is State.OPEN:
            self._end("request-before-login")
        elif faults.wrong_state is not None:
            self._reject(op, pdu.sequence, faults.wrong_state)

    def _other_answer(self, pdu: Pdu, frame: bytes, dialect: Dialect, now: float) -> None:
        """An answer to none of the requests that carry a tag and wait."""
        sequence = pdu.sequence
        command = pdu.command_id
        login = self._login
        if self._negotiating and login is not None and sequence == login.sequence:
            self._login_answered(login, pdu, dialect, now)
        elif sequence in self._tests and self._answers(self._tests[sequence], command):
            del self._tests[sequence]
            self.tests_answered += 1
        elif sequence == self._logout_sequence and self._answers(self._logout, command):
            self._end(self._why)
        elif sequence in self._expired and self._answers(self._expired[sequence].op, command):
            sent = self._expired.pop(sequence)
            self._events.append(Late(sent.tag, pdu, self._status(sent.op, pdu), frame))
        else:
            self._violate("unknown-answer", f"command {command:#010x}, sequence {sequence}", now)

    def _malformed(self, error: Malformed, octets: str, now: float) -> None:
        """The header was sound, the body was not: the framing holds, so the connection does, too, but in SGIP."""
        self._violate("malformed", f"{error.pdu_name} {error.sequence}: {error}: {octets}", now)
        if self._over:
            return
        op = self._matrix.requests.get(error.command_id)
        early = self._mode is State.OPEN and op is not None and op.kind is not Kind.LOGIN
        if early and self.rules.faults.closes_before_login:
            # The layout is settled by the login: what cannot be read may be of another, and so would be our answer.
            self._end("request-before-login")
            return
        self._answer_malformed(error)
        if self.rules.faults.closes_on_syntax:
            self._end("malformed")

    def _answer_malformed(self, error: Malformed) -> None:
        if error.command_id & RESPONSE:
            # Never answer an answer: its request waits for its timeout. Only the login has nothing to wait for.
            if self._negotiating and self._login is not None and error.sequence == self._login.sequence:
                self._events.append(Refused(0, f"the login answer cannot be read: {error}"))
                self._end("refused")
            return
        op = self._matrix.requests.get(error.command_id)
        if op is None:
            return
        self._reject(op, error.sequence, self.rules.fault_status(op, error))
        if op.kind is Kind.LOGIN and self._mode is State.OPEN:
            self._end("malformed-login")

    def _framing_lost(self, lost: FramingLost, now: float) -> None:
        self._events.append(Violation("framing", str(lost)))
        # Foreign traffic (port scanners, HTTP) gets no answer that would tell it what listens here.
        if self._mode is not State.OPEN and self.rules.faults.framing is not None:
            self._nack(self.rules.lost_sequence(lost.header), self.rules.faults.framing)
        self._end("framing")

    # -- login --------------------------------------------------------------------------------------------------

    def _login_answered(self, login: Pdu, pdu: Pdu, dialect: Dialect, now: float) -> None:
        op = self._matrix.requests[login.command_id]
        if not self._answers(op, pdu.command_id):
            self._violate("wrong-answer", f"{type(pdu).__name__} to the login", now)
            return
        verdict = self.rules.judge(login, pdu, dialect)
        for kind, detail in verdict.doubts:
            self._violate(kind, detail, now)
        if self._over:
            return
        if not verdict.accepted:
            self._events.append(Refused(verdict.status, verdict.reason, pdu))
            self._end("refused")
            return
        if verdict.dialect is not None:
            self.dialect = verdict.dialect
        self._bind(self.rules.mode(op, login))
        self._events.append(Bound(pdu))

    def _awaits(self, login: LoginRequest) -> bool:
        return self.state is State.BINDING and self._login is login.pdu

    def _refuse(self, login: Pdu, status: int) -> None:
        admission = self.rules.refuse(login, status)
        admission.answer.sequence = login.sequence
        self.dialect = admission.dialect
        self._say(admission.answer)
        self._end("refused")

    def _bind(self, mode: State) -> None:
        self._login = None
        self._login_by = inf
        self._negotiating = False
        self._mode = mode
        self._move(BOUND_BY[mode])

    # -- leaving ------------------------------------------------------------------------------------------------

    def _peer_leaves(self, sequence: Sequence, now: float) -> None:
        if self.state is State.UNBINDING:
            self._acknowledge(self._logout, sequence)
            return
        if self.state is not State.LEAVING:
            self._login_by = inf
            self._close_by = now + self.config.close_grace
            self._answers_by = now + self.config.leave_grace
            self._move(Trigger.LOGOUT_RECEIVED)
        self._peer_logout = sequence
        self._unsettled = True

    def _settle(self, now: float) -> None:
        """Go on with leaving when what was waited for has come, or has taken too long."""
        self._unsettled = False
        late = now >= self._close_by
        if self.state is State.DRAINING:
            if late or not (self._outstanding or self._owed):
                self._say_goodbye(now)
        elif self.state is State.UNBINDING:
            if late:
                self._end("logout-timeout")
        elif self.state is State.LEAVING:
            if late or (not self._owed and (not self._outstanding or now >= self._answers_by)):
                if self._peer_logout is not None:
                    self._acknowledge(self._logout, self._peer_logout)
                self._end("peer-logout")

    def _say_goodbye(self, now: float) -> None:
        self._logout_sequence = self._next_sequence()
        self._close_by = now + self.config.close_grace
        self._move(Trigger.LOGOUT_SENT)
        self._say(self._logout.request(sequence=self._logout_sequence))

    # -- timers -------------------------------------------------------------------------------------------------

    def _heard_time(self, now: float) -> float:
        """A clock that stands still while the shell does not read, though not for ever: what answers are timed by."""
        if self._deaf_since is not None:
            now -= min(now - self._deaf_since, self.config.max_deaf)
        return now - self._deaf

    def _due(self, sent: _Sent) -> float:
        """When it expires, if the shell goes on (not) reading as it does."""
        return sent.due + self._deaf + (self.config.max_deaf if self._deaf_since is not None else 0.0)

    def _expire(self, now: float) -> None:
        while self._outstanding:
            sequence, sent = next(iter(self._outstanding.items()))
            if self._due(sent) > now:
                break
            del self._outstanding[sequence]
            if len(self._expired) >= self.config.max_expired:
                del self._expired[next(iter(self._expired))]
            self._expired[sequence] = sent
            self._events.append(Expired(sent.tag))
            if not self._bound:
                self._unsettled = True

    def _test_at(self) -> float:
        interval = self.config.keepalive_interval
        if interval is None or self._keepalive is None:
            return inf
        return self._tested + self.config.keepalive_timeout if self._missed else self._heard + interval

    def _keep_alive(self, now: float) -> None:
        if now < self._test_at() or self._keepalive is None:
            return
        if self._deaf_since is not None:
            # Its answer will lie unread: this only tells it that we are here, as often as can be remembered.
            self._heard = now
            if len(self._tests) >= _MAX_TESTS:
                return
        elif self._missed >= self.config.keepalive_attempts:
            self._end("keepalive-timeout")
            return
        else:
            self._missed += 1
            self._tested = now
        self._test(self._keepalive)

    def _test(self, keepalive: Operation) -> None:
        sequence = self._next_sequence()
        if len(self._tests) >= _MAX_TESTS:
            del self._tests[next(iter(self._tests))]
        self._tests[sequence] = keepalive
        self._say(keepalive.request(sequence=sequence))

    # -- small things -------------------------------------------------------------------------------------------

    def _answers(self, op: Operation, command: int) -> bool:
        response = op.response
        return (response is not None and response.command_id == command) or command == self.rules.nack_command

    @staticmethod
    def _status(op: Operation, pdu: Pdu) -> int:
        return getattr(pdu, op.status) if op.status is not None else 0

    def _next_sequence(self) -> Sequence:
        first, last = self.rules.sequences
        while True:
            counter = self._counter
            self._counter = counter + 1 if counter < last else first
            sequence = self.rules.stamp(counter)
            if not (sequence in self._outstanding or sequence in self._expired or sequence in self._tests):
                return sequence

    def _say(self, pdu: Pdu) -> None:
        self._write(self.dialect.encode(pdu))

    def _write(self, octets: bytes) -> None:
        self._output.append(octets)
        self._output_size += len(octets)
        if self._output_size > self.config.max_output and self.state not in OVER:
            self._end("output-overflow")

    def _acknowledge(self, op: Operation, sequence: Sequence) -> None:
        self._say(op.answer(sequence, {}))

    def _reject(self, op: Operation, sequence: Sequence, status: int) -> None:
        answer = error_answer(op, sequence, status)
        if answer is not None:
            self._say(answer)

    def _nack(self, sequence: Sequence | None, status: int) -> None:
        nack = self.rules.nack(0 if sequence is None else sequence, status)
        if nack is not None:
            self._say(nack)

    def _violate(self, kind: str, detail: str, now: float) -> None:
        """Note a violation; too many within a minute end the connection."""
        self._events.append(Violation(kind, detail))
        if now - self._violations_since >= 60.0:
            self._violations_since = now
            self._violations = 0
        self._violations += 1
        if self._violations > self.config.max_violations_per_minute:
            self._end("too-many-violations")

    def _end(self, why: str) -> None:
        if self._over:
            return
        self._move(Trigger.END)
        self._login_by = self._frame_by = self._close_by = self._answers_by = inf
        self._events.append(CloseNow(why))

    def _move(self, trigger: Trigger) -> None:
        self._enter(TRANSITIONS[self.state][trigger])

    def _enter(self, state: State) -> None:
        self.state = state
        self._bound = state in BOUND
        self._over = state in OVER
        # While we drain, both sides may still do what the bind allowed; `request` itself refuses new ones.
        seen = self._mode if state is State.DRAINING else state
        self._accepts = self._matrix.may_send(self.rules.role.peer, seen)
        self._sends = self._matrix.may_send(self.rules.role, seen)

    def _take(self) -> list[Event]:
        events = self._events
        self._events = []
        return events
