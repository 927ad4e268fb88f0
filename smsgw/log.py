"""Logging: one structured line an event; JSON for machines, short text for a terminal. No secrets, no contents."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from smsgw.core.printable import printable

_OURS = frozenset({"exc_info", "exception", "stack"})
"""Fields that have several lines of their own."""

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def setup(level: str = "info", fmt: str = "auto") -> None:
    """Configure structlog for the process. ``fmt``: json, text, or auto (text on a terminal)."""
    as_text = fmt == "text" or (fmt == "auto" and sys.stderr.isatty())
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if as_text else structlog.processors.JSONRenderer(ensure_ascii=False)
    )
    processors: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    processors.append(_on_one_line)
    if not as_text:
        processors.append(structlog.processors.format_exc_info)
    structlog.configure(
        processors=[*processors, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    _setup_libraries(processors, renderer)


def _on_one_line(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """User names, addresses and answers of others must not look like lines of ours, nor steer a terminal."""
    for key, value in event.items():
        if isinstance(value, str) and not value.isprintable() and key not in _OURS:
            event[key] = printable(value)
    return event


def _setup_libraries(
    processors: list[structlog.typing.Processor], renderer: structlog.typing.Processor
) -> None:
    """What libraries log comes out in the same form, from warnings on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *processors],
        )
    )
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    # The pool tells of every failed attempt with its whole traceback; we tell of an outage ourselves, once.
    logging.getLogger("asyncpg.pool").setLevel(logging.ERROR)
