"""Log lines: for people on a terminal, JSON elsewhere when asked. Each has the Call-ID of the request that it is about."""

from __future__ import annotations

import logging
import sys
from contextvars import ContextVar
from typing import TYPE_CHECKING

import structlog
from structlog.types import EventDict, Processor

if TYPE_CHECKING:
    from proxy.request import Request

FORMATS = ("human", "json")
LEVELS = ("debug", "info", "warning", "error")

current_request: ContextVar[Request | None] = ContextVar("current request", default=None)
"""The request that a route is at work on; log lines get its Call-ID."""


def configure(log_format: str, level: str) -> None:
    """Send every log line of the process to standard error, in one of FORMATS, from one of LEVELS up."""
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso" if log_format == "json" else "%H:%M:%S", utc=log_format == "json"),
        structlog.stdlib.ExtraAdder(),
        _add_call_id,
    ]
    if log_format == "json":
        renderer: list[Processor] = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    else:
        renderer = [
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=0, exception_formatter=structlog.dev.plain_traceback)
        ]
    remove_meta = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    handler = logging.StreamHandler()
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=[remove_meta, *renderer]))
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    logging.captureWarnings(True)


def _add_call_id(_: object, __: str, event: EventDict) -> EventDict:
    request = current_request.get()
    if request is not None:
        event.setdefault("call_id", request.call_id)
    return event
