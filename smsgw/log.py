"""Logging: one structured line an event; JSON for machines, short text for a terminal. No secrets, no contents."""

from __future__ import annotations

import logging
import sys

import structlog

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
    if not as_text:
        processors.append(structlog.processors.format_exc_info)
    structlog.configure(
        processors=[*processors, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    _setup_libraries(processors, renderer)


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
