"""SIP and SIPS URIs (RFC 3261 section 19.1)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from proxy.sip.errors import ParseError
from proxy.sip.grammar import HOST

_USER = r"[A-Za-z0-9\-_.!~*'()%&=+$,;?/]+"  # unreserved, escaped and user-unreserved
_PASSWORD = r"[A-Za-z0-9\-_.!~*'()%&=+$,]*"
_PARAM_CHARS = r"[A-Za-z0-9\-_.!~*'()%\[\]/:&+$=]"
SIP_URI = re.compile(
    rf"([Ss][Ii][Pp][Ss]?):(?:({_USER})(?::({_PASSWORD}))?@)?({HOST})(?::([0-9]{{1,5}}))?((?:;{_PARAM_CHARS}+)*)(?:\?([^\s<>?\"]*))?"
)
PLAIN_URI = r"sips?:(?:[A-Za-z0-9\-_.!~*'()&=+$,;]+@)?[A-Za-z0-9.\-]+(?::[0-9]{1,4})?"  # a usual one, well-formed and without header fields
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*):")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.!~*'()")
_MUST_MATCH = ("user", "ttl", "method", "maddr", "transport")  # section 19.1.4: never equal to their absence


def scheme(uri: str) -> str:
    """The scheme in lower case; "" when the text has none."""
    match = _SCHEME.match(uri)
    return match.group(1).lower() if match else ""


@dataclass(frozen=True, slots=True)
class SipUri:
    """A SIP or SIPS URI in its parts, as written. port is None where none is written, params starts with its `;`."""

    scheme: str
    user: str | None
    password: str | None
    host: str
    port: int | None
    params: str
    headers: str | None

    @classmethod
    def parse(cls, text: str) -> SipUri:
        """The URI in `text`; ParseError 416 for another scheme, 400 for a SIP URI that is malformed."""
        match = SIP_URI.fullmatch(text)
        if match is None or ("%" in text and _BAD_ESCAPE.search(text)):
            if scheme(text) in ("sip", "sips"):
                raise ParseError("Malformed SIP URI")
            raise ParseError("Unsupported URI Scheme", 416)
        uri_scheme, user, password, host, port, params, headers = match.groups()
        if port and int(port) > 65535:
            raise ParseError("Port of the SIP URI out of range")
        return cls(uri_scheme.lower(), user, password, host, int(port) if port else None, params, headers)

    def __str__(self) -> str:
        user = "" if self.user is None else f"{self.user}{'' if self.password is None else ':' + self.password}@"
        port = "" if self.port is None else f":{self.port}"
        headers = "" if self.headers is None else f"?{self.headers}"
        return f"{self.scheme}:{user}{self.host}{port}{self.params}{headers}"

    def param(self, name: str) -> str | None:
        """The value of a URI parameter: "" when it has none, None when the URI lacks it."""
        return _params(self.params).get(name)

    @property
    def transport(self) -> str:
        """The transport that the URI asks for, in upper case; UDP where it is silent, TLS for sips (RFC 3263 section 4.1)."""
        asked = (self.param("transport") or "").upper()
        if self.scheme == "sips" and asked in ("", "TCP"):
            return "TLS"
        return asked or "UDP"

    def equals(self, other: SipUri) -> bool:
        """True when both name the same resource by the rules of RFC 3261 section 19.1.4."""
        return self._key() == other._key() and _params_match(_params(self.params), _params(other.params))

    def _key(self) -> tuple[object, ...]:
        headers = sorted(_unescape(header).lower() for header in (self.headers or "").split("&"))
        return self.scheme, _unescape(self.user), _unescape(self.password), self.host.lower(), self.port, tuple(headers)


def _params(text: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in text.split(";")[1:])
    return {_unescape(name).lower(): value for name, _, value in pairs}


def _params_match(ours: dict[str, str], theirs: dict[str, str]) -> bool:
    common = ours.keys() & theirs.keys()
    if any(_unescape(ours[name]).lower() != _unescape(theirs[name]).lower() for name in common):
        return False
    return not any((name in ours) != (name in theirs) for name in _MUST_MATCH)


def _unescape(text: str | None) -> str:
    """Escapes of unreserved characters undone, the others in upper case: what two URIs are compared by."""
    if not text or "%" not in text:
        return text or ""
    return _ESCAPE.sub(lambda match: char if (char := chr(int(match.group(1), 16))) in _UNRESERVED else match.group(0).upper(), text)
