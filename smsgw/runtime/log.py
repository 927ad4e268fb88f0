"""Logging: one structured line an event; JSON for machines, short text for a terminal. No secrets, no contents."""

from __future__ import annotations

import json
import logging
import os
import select
import sys
import threading
import traceback
from collections import deque
from collections.abc import Mapping
from types import TracebackType
from typing import Any, TextIO, cast

import structlog

from smsgw.core.numbers import masked
from smsgw.core.printable import printable

_OURS = frozenset({"exception", "stack"})
"""Fields that have several lines of their own."""

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}

CHUNK = select.PIPE_BUF
"""Octets that a pipe which is ready takes without blocking."""
PATIENCE_MS = 100
"""For the rest of a line whose beginning is written."""


class Recent:
    """The last lines of this process, for who looks for what is wrong: so many, and no more octets than that."""

    LINES, OCTETS = 10_000, 2 * 1024 * 1024

    def __init__(self) -> None:
        self._lines: deque[str] = deque()
        self._octets = 0
        self._lock = threading.Lock()  # threads log, too

    @property
    def lines(self) -> list[str]:
        """The oldest first."""
        with self._lock:
            return list(self._lines)

    def keep(self, _: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        """Processor: the line as machines read it, whatever it is written as."""
        line = json.dumps(event, ensure_ascii=False, default=str)
        with self._lock:
            self._lines.append(line)
            self._octets += len(line)
            while len(self._lines) > self.LINES or self._octets > self.OCTETS:
                self._octets -= len(self._lines.popleft())
        return event


recent = Recent()


class Output:
    """Where lines go: what cannot be written at once (the disk is full, nobody reads the pipe) is counted and dropped,
    for a log must neither stop the daemon nor make it wait. The next line that can be written is preceded by one that
    says how many are missing."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()  # threads write, too, and two of them must not poll at once
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLOUT)
        self.lost = 0
        """Lines, since the last one that was written."""

    def write(self, text: str) -> int:
        """One line, or a few."""
        with self._lock:
            if self.lost:
                missing = json.dumps({"lines": self.lost, "event": "log.lost", "level": "error"})
                if not self._written(f"{missing}\n"):
                    self.lost += 1
                    return len(text)
                self.lost = 0
            if not self._written(text):
                self.lost += 1
            return len(text)

    def flush(self) -> None:
        """Nothing is kept back."""

    def _written(self, text: str) -> bool:
        octets = memoryview(text.encode("utf-8", "backslashreplace"))
        patience = 0
        try:
            while octets:
                if not self._poll.poll(patience):
                    return False
                octets = octets[os.write(self._descriptor, octets[:CHUNK]) :]
                patience = PATIENCE_MS
        except OSError:
            return False
        return True


def _output() -> TextIO:
    """Of this process; where standard error is no file (a test looks at it) that itself."""
    try:
        return cast(TextIO, Output(sys.stderr.fileno()))
    except (OSError, ValueError):
        return sys.stderr


def plain_errors(logger: object, method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Processor: an error as ``safe`` says it, with where it has happened."""
    info = event.pop("exc_info", None)
    if info is True:
        info = sys.exc_info()
    error = info[1] if isinstance(info, tuple) else info
    if isinstance(error, BaseException):
        event["exception"] = "\n\n".join(_shown(error, error.__traceback__))
    for name, value in event.items():
        if isinstance(value, BaseException):
            event[name] = safe(value)
    return event


def _shown(error: BaseException, at: TracebackType | None) -> list[str]:
    """The causes of an error, the first one first, and the error."""
    lines: list[str] = []
    chain: list[BaseException] = []
    one: BaseException | None = error
    while one is not None and one not in chain:
        chain.append(one)
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)
    for one in reversed(chain):
        where = "".join(traceback.format_tb(at if one is error else one.__traceback__))
        lines.append(f"{where}{safe(one)}")
    return lines


def safe(error: BaseException) -> str:
    """An error in a line. What PostgreSQL and its driver say holds the values that they had been given, texts, numbers
    and sealed secrets among them; of theirs the code and the names of table and constraint are kept."""
    name = type(error).__name__
    if any(cls.__module__.startswith("asyncpg.") for cls in type(error).__mro__):
        known = (getattr(error, field, None) for field in ("sqlstate", "table_name", "constraint_name"))
        return " ".join([name, *(str(value) for value in known if value)])
    if isinstance(error, UnicodeError):  # it holds the text
        return name
    said = printable(str(error))
    return f"{name}: {said}" if said else name


def _unexpected(_: object, error: BaseException | None, __: object) -> None:
    """What Python calls before it exits 1, instead of writing the error as it is."""
    if isinstance(error, KeyboardInterrupt):
        return
    structlog.get_logger("smsgw").critical("error.unexpected", exc_info=error)


def masked_numbers(logger: object, method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Processor: whatever is said, a mobile number in it has its middle hidden."""
    for name, value in event.items():
        if isinstance(value, str) and (name in ("error", "detail", "exception") or len(value) > 10):
            event[name] = masked(value)
    return event


def setup(level: str = "info", fmt: str = "auto", always: Mapping[str, Any] | None = None) -> None:
    """Configure structlog for the process. ``fmt``: json, text, or auto (text on a terminal). ``always``: what is said
    in each line."""
    own = always or {}

    def said(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        event.update(own)
        return event

    as_text = fmt == "text" or (fmt == "auto" and sys.stderr.isatty())
    output = _output()
    renderer: structlog.typing.Processor = (
        # Another formatter would show what was in variables: secrets among them.
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        if as_text
        else structlog.processors.JSONRenderer(ensure_ascii=False)
    )
    processors: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        *((said,) if own else ()),
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        plain_errors,
        masked_numbers,
        _on_one_line,
        recent.keep,
    ]
    structlog.configure(
        processors=[*processors, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(output),
        cache_logger_on_first_use=True,
    )
    _setup_libraries(processors, renderer, output)
    sys.excepthook = _unexpected
    threading.excepthook = lambda args: _unexpected(args.exc_type, args.exc_value, args.exc_traceback)


def _on_one_line(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """User names, addresses and answers of others must not look like lines of ours, nor steer a terminal."""
    for key, value in event.items():
        if isinstance(value, str) and not value.isprintable() and key not in _OURS:
            event[key] = printable(value)
    return event


def _setup_libraries(
    processors: list[structlog.typing.Processor], renderer: structlog.typing.Processor, output: TextIO
) -> None:
    """What libraries log comes out in the same form, from warnings on."""
    handler = logging.StreamHandler(output)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *processors],
        )
    )
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    # The pool tells of every failed attempt with its whole traceback; we tell of an outage ourselves, once.
    logging.getLogger("asyncpg.pool").setLevel(logging.ERROR)
