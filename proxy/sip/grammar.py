"""Pieces of grammar that several header fields share (RFC 3261 section 25.1). Values are text, white space as received."""

from __future__ import annotations

import re

# Repetitions are possessive where they can be: work stays linear in what strangers send (tests/proxy/sip/test_linear.py).
TOKEN = r"[A-Za-z0-9\-.!%*_+`'~]+"
QUOTED = r'"(?:[^"\\]|\\.)*+"'
LWS = r"[ \t\r\n]*+"
HOST = r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_](?:[A-Za-z0-9_.\-]*[A-Za-z0-9_.])?)"

# generic-param = token [ EQUAL gen-value ]; a gen-value may be an IPv6 address, bare (received) or in brackets
PARAM = rf"{LWS};{LWS}{TOKEN}(?:{LWS}={LWS}(?:{QUOTED}|\[[0-9A-Fa-f:.]+\]|[0-9A-Fa-f]*:[0-9A-Fa-f:.]+|{TOKEN}))?"
PARAMS = rf"(?:{PARAM})*"

_PARAM = re.compile(rf";{LWS}({TOKEN})(?:{LWS}={LWS}({QUOTED}|[^\s;,]+))?", re.DOTALL)
# A quote or bracket that nobody closes hides everything behind it.
_COMMA_OR_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|<[^>]*+(?:>|\Z)|(,)', re.DOTALL)


def unfold(value: str) -> str:
    """The value on one line: a fold is one space (RFC 3261 section 7.3.1)."""
    return " ".join([line.strip(" \t") for line in value.split("\r\n")]) if "\r\n" in value else value


def parse_params(text: str) -> dict[str, str | None]:
    """``;tag=x;lr`` → ``{"tag": "x", "lr": None}``: names in lower case, the first of a name wins, quotes stay."""
    found: dict[str, str | None] = {}
    for name, value in _PARAM.findall(text):
        found.setdefault(name.lower(), value or None)
    return found


def split_values(value: str) -> list[str]:
    """The values of a comma separated header field, stripped; commas in quotes or angle brackets do not part them."""
    if "," not in value:
        return [value.strip()]
    cuts = [match.start() for match in _COMMA_OR_QUOTED.finditer(value) if match.group(1)]
    starts = [0, *(cut + 1 for cut in cuts)]
    return [value[start:end].strip() for start, end in zip(starts, [*cuts, len(value)], strict=True)]
