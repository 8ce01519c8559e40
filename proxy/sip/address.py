"""name-addr and addr-spec with their parameters: the value of From, To, Contact, Route (RFC 3261 section 20.10)."""

from __future__ import annotations

import re

from proxy.sip.errors import ParseError
from proxy.sip.grammar import LWS, PARAMS, QUOTED, TOKEN, parse_params
from proxy.sip.uri import SipUri

# display-name is a quoted string or tokens; torture message baddn shows that commas and other text come too, as deployed
# parsers accept. What it may never hold is a quote or a bracket.
_DISPLAY = rf'(?:{QUOTED}|[^"<>;,]*+)'
_NAME_ADDR = re.compile(rf"{LWS}({_DISPLAY}){LWS}<([^\s<>]+)>({PARAMS}){LWS};?{LWS}", re.DOTALL)
# An addr-spec without brackets has no comma, question mark or semicolon: what follows a semicolon is the header's parameter.
_ADDR_SPEC = re.compile(rf"{LWS}([A-Za-z][A-Za-z0-9+.\-]*:[^\s<>,?;\"]+)({PARAMS}){LWS};?{LWS}", re.DOTALL)
# What nearly every client sends.
_USUAL = re.compile(rf'("[^"\\]*" ?|)<([^\s<>"]+)>(;tag={TOKEN}|)')
_TAG = re.compile(rf";{LWS}tag{LWS}={LWS}({TOKEN})", re.IGNORECASE)


class NameAddr:
    """A URI with what stands around it: display (as written, quotes included, "" when absent), uri, params (from its first `;`)."""

    __slots__ = ("display", "params", "uri")

    def __init__(self, display: str, uri: str, params: str) -> None:
        self.display = display
        self.uri = uri
        self.params = params

    @classmethod
    def parse(cls, text: str) -> NameAddr:
        """The one address in `text`; ParseError when there is none or more than that."""
        usual = _USUAL.fullmatch(text)
        if usual is not None:
            display, uri, params = usual.groups()
            return cls(display.rstrip(), uri, params)
        match = _NAME_ADDR.fullmatch(text)
        if match is not None:
            display, uri, params = match.groups()
            return cls(display.rstrip(" \t\r\n"), uri, params)
        match = _ADDR_SPEC.fullmatch(text)
        if match is None:
            raise ParseError("Malformed address")
        return cls("", *match.groups())

    def __str__(self) -> str:
        return f"{self.display}{' ' if self.display else ''}<{self.uri}>{self.params}"

    def __repr__(self) -> str:
        return f"NameAddr({str(self)!r})"

    @property
    def tag(self) -> str | None:
        """The tag parameter, None when absent."""
        if '"' in self.params:  # what looks like a tag may stand in quotes
            return self.param("tag")
        match = _TAG.search(self.params) if self.params else None
        return match.group(1) if match else None

    def param(self, name: str) -> str | None:
        """The value of a parameter, "" when it has none, None when it is absent."""
        found = parse_params(self.params)
        return (found[name] or "") if name in found else None

    @property
    def sip_uri(self) -> SipUri:
        """The URI in its parts; ParseError when it is no SIP URI."""
        return SipUri.parse(self.uri)
