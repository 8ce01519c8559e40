"""What the wire can do wrong, as one tree.

SipError
└── ParseError        bytes that are no SIP message, or one that a proxy must refuse
    └── FramingError  a stream on which the next message cannot be found: the connection ends
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from proxy.sip.message import Message


class SipError(Exception):
    """Base of every error of `proxy.sip`."""


class ParseError(SipError, ValueError):
    """Bytes that break RFC 3261.

    reason: what is wrong, fit for a reason phrase.
    status_code: the status code owed to the sender where an answer is possible.
    message: as much of the message as could be read, to answer from; None when there is not enough.
    """

    def __init__(self, reason: str, status_code: int = 400, message: Message | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status_code = status_code
        self.message = message


class FramingError(ParseError):
    """A stream whose next message boundary is unknown."""
