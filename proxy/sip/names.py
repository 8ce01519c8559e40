"""Names of header fields: canonical spelling, compact forms, and which may stand only once. Methods and reason phrases."""

from __future__ import annotations

import re

from proxy.sip import grammar
from proxy.sip.errors import ParseError

# RFC 3261 section 7.3.3 and the registry of compact forms.
COMPACT = {
    b"a": b"accept-contact",
    b"b": b"referred-by",
    b"c": b"content-type",
    b"d": b"request-disposition",
    b"e": b"content-encoding",
    b"f": b"from",
    b"i": b"call-id",
    b"j": b"reject-contact",
    b"k": b"supported",
    b"l": b"content-length",
    b"m": b"contact",
    b"n": b"identity-info",
    b"o": b"event",
    b"r": b"refer-to",
    b"s": b"subject",
    b"t": b"to",
    b"u": b"allow-events",
    b"v": b"via",
    b"x": b"session-expires",
    b"y": b"identity",
}

# RFC 3261 section 7.3.1: one value, hence one field. Those whose repetition would make two readers see two messages.
SINGLE = frozenset(
    (
        b"call-id",
        b"content-length",
        b"content-type",
        b"cseq",
        b"date",
        b"expires",
        b"from",
        b"max-forwards",
        b"min-expires",
        b"to",
    )
)

TOKEN = re.compile(grammar.TOKEN.encode())

_KEPT_AT_MOST = 4096  # spellings remembered; strangers cannot make us remember more


class FoldedLine(Exception):
    """The line continues the one before it (RFC 3261 section 7.3.1)."""


class _Names(dict[bytes, bytes]):
    """``b"Via:"``, ``b"v:"`` or ``b"VIA  :"`` → ``b"via"``: each spelling is worked out once."""

    def __missing__(self, spelling: bytes) -> bytes:
        if spelling[:1] in (b" ", b"\t"):
            raise FoldedLine
        name = canonical(spelling[:-1])
        if len(self) < _KEPT_AT_MOST and len(spelling) < 64:
            self[spelling] = name
        return name


def canonical(name: bytes) -> bytes:
    """The lower-case long form of a header field's name; ParseError when it is none."""
    bare = name.rstrip(b" \t")
    if not TOKEN.fullmatch(bare):
        raise ParseError("Header field without a name" if not bare else "Malformed header field name")
    lower = bare.lower()
    return COMPACT.get(lower, lower)


NAMES = _Names()

# The methods of the IANA registry; any other token is decoded when it comes.
METHODS = {
    b"ACK": "ACK",
    b"BYE": "BYE",
    b"CANCEL": "CANCEL",
    b"INFO": "INFO",
    b"INVITE": "INVITE",
    b"MESSAGE": "MESSAGE",
    b"NOTIFY": "NOTIFY",
    b"OPTIONS": "OPTIONS",
    b"PRACK": "PRACK",
    b"PUBLISH": "PUBLISH",
    b"REFER": "REFER",
    b"REGISTER": "REGISTER",
    b"SUBSCRIBE": "SUBSCRIBE",
    b"UPDATE": "UPDATE",
}

# RFC 3261 section 21 and the registry of status codes.
REASON_PHRASES = {
    100: "Trying",
    180: "Ringing",
    181: "Call Is Being Forwarded",
    182: "Queued",
    183: "Session Progress",
    199: "Early Dialog Terminated",
    200: "OK",
    202: "Accepted",
    204: "No Notification",
    300: "Multiple Choices",
    301: "Moved Permanently",
    302: "Moved Temporarily",
    305: "Use Proxy",
    380: "Alternative Service",
    400: "Bad Request",
    401: "Unauthorized",
    402: "Payment Required",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    407: "Proxy Authentication Required",
    408: "Request Timeout",
    410: "Gone",
    412: "Conditional Request Failed",
    413: "Request Entity Too Large",
    414: "Request-URI Too Long",
    415: "Unsupported Media Type",
    416: "Unsupported URI Scheme",
    417: "Unknown Resource-Priority",
    420: "Bad Extension",
    421: "Extension Required",
    422: "Session Interval Too Small",
    423: "Interval Too Brief",
    424: "Bad Location Information",
    428: "Use Identity Header",
    429: "Provide Referrer Identity",
    430: "Flow Failed",
    433: "Anonymity Disallowed",
    436: "Bad Identity-Info",
    437: "Unsupported Certificate",
    438: "Invalid Identity Header",
    439: "First Hop Lacks Outbound Support",
    440: "Max-Breadth Exceeded",
    469: "Bad Info Package",
    470: "Consent Needed",
    480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist",
    482: "Loop Detected",
    483: "Too Many Hops",
    484: "Address Incomplete",
    485: "Ambiguous",
    486: "Busy Here",
    487: "Request Terminated",
    488: "Not Acceptable Here",
    489: "Bad Event",
    491: "Request Pending",
    493: "Undecipherable",
    494: "Security Agreement Required",
    500: "Server Internal Error",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Server Time-out",
    505: "Version Not Supported",
    513: "Message Too Large",
    555: "Push Notification Service Not Supported",
    580: "Precondition Failure",
    600: "Busy Everywhere",
    603: "Decline",
    604: "Does Not Exist Anywhere",
    606: "Not Acceptable",
    607: "Unwanted",
    608: "Rejected",
}


def reason_phrase(status_code: int) -> str:
    """The registered phrase, or the one of its class for an unknown code (RFC 3261 section 8.1.3.2)."""
    return REASON_PHRASES.get(status_code) or REASON_PHRASES.get(status_code // 100 * 100, "Unknown")
