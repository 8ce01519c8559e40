"""Inputs that are meant to be slow: every header field that a proxy parses, filled with what makes a careless parser backtrack."""

from __future__ import annotations

from collections.abc import Iterator

HEAD = (
    b"OPTIONS sip:bob@example.com SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP 198.51.100.7:40000;branch=z9hG4bKa1\r\n"
    b"From: <sip:alice@example.com>;tag=f1\r\n"
    b"To: <sip:bob@example.com>\r\n"
    b"Call-ID: c1\r\n"
    b"CSeq: 1 OPTIONS\r\n"
    b"Max-Forwards: 70\r\n"
    b"Route: <sip:192.0.2.254;lr>\r\n"
)

# What is repeated, and what stands around it.
FILLINGS = [
    b" ",
    b"\t",
    b"\r\n ",
    b" \r\n",
    b",",
    b", ",
    b";",
    b"; ",
    b";a",
    b";a=",
    b";a=b",
    b";a =b ",
    b";a=1:",
    b';a="',
    b';a="b"',
    b'"',
    b'\\"',
    b'"\\',
    b"\\",
    b"<",
    b">",
    b"<>",
    b",<",
    b',"',
    b":",
    b"::",
    b"[",
    b"]",
    b"@",
    b"%",
    b"%4",
    b"-",
    b".",
    b"a",
    b"a ",
    b"a-",
    b"0",
    b"=",
    b"/",
    b"(",
    b"?a=b&",
    b";rport",
    b";rport= ",
    b";received= ",
    b" ;received",
    b";tag= ",
    b"sip:a@b,",
    b"<sip:a@b>,",
    b"SIP/2.0/UDP a,",
    b"\xff",
    b"\x00",
]

# Field, and what may stand before and behind the filling so that the parser goes as far as it can.
PLACES = [
    (
        b"Via",
        [
            (b"", b""),
            (b"SIP/2.0/UDP a;x", b"!;"),
            (b"SIP/2.0/UDP a;x=", b""),
            (b"SIP/2.0/UDP ", b"a;rport"),
            (b"a,", b""),
            (b"SIP/2.0/UDP a;rport=", b"1;x"),
        ],
    ),
    (b"From", [(b"", b""), (b"A", b"x"), (b"", b"<sip:a@b>"), (b"<sip:a@b>", b"!"), (b"<sip:a@b>;x=", b""), (b"sip:", b""), (b'"', b"")]),
    (b"To", [(b"<sip:a@b>;tag", b"=1"), (b"sip:a@b", b"!"), (b"<sip:", b">")]),
    (b"CSeq", [(b"", b""), (b"1", b"OPTIONS"), (b"1", b"OPTIONS!")]),
    (b"Max-Forwards", [(b"", b""), (b"1", b"")]),
    (b"Route", [(b"", b""), (b"<sip:192.0.2.254;lr>,", b""), (b"<sip:a", b">"), (b"<sip:a@b;lr>", b"!")]),
    (b"Call-ID", [(b"", b"")]),
    (b"Content-Length", [(b"", b""), (b"0", b"")]),
]

LINES = [
    b"X:\r\n",
    b"v: SIP/2.0/UDP a\r\n",
    b"t: <sip:a@b>\r\n",
    b"l: 0\r\n",
    b"Route: <sip:a;lr>\r\n",
    b"x\r\n",
    b":\r\n",
    b" x\r\n",
    b"\r\n",
    b"\n",
    b"\r",
]


def hostile(size: int) -> Iterator[tuple[str, bytes]]:
    """Messages of about `size` bytes, each with a name that tells what is in it."""
    for field, surroundings in PLACES:
        for before, behind in surroundings:
            for filling in FILLINGS:
                value = before + filling * (size // len(filling)) + behind
                head = b"".join(line + b"\r\n" for line in HEAD.splitlines() if not line.startswith(field + b":"))
                yield f"{field.decode()}: {before!r} {filling!r}* {behind!r}", head + field + b": " + value + b"\r\n\r\n"
    for filling in FILLINGS:
        many = filling * (size // len(filling))
        yield f"header name {filling!r}*", HEAD + many + b": x\r\n\r\n"
        yield f"method {filling!r}*", HEAD.replace(b"OPTIONS", many, 1) + b"\r\n"
        yield f"Request-URI {filling!r}*", HEAD.replace(b"sip:bob@example.com", b"sip:" + many, 1) + b"\r\n"
        yield f"Request-URI parameters {filling!r}*", HEAD.replace(b"sip:bob@example.com", b"sip:b;" + many + b"!", 1) + b"\r\n"
        yield f"version {filling!r}*", HEAD.replace(b"SIP/2.0\r\n", b"SIP/2" + many + b"\r\n", 1) + b"\r\n"
        yield f"status line {filling!r}*", HEAD.replace(b"OPTIONS sip", b"SIP/2.0 200" + many, 1) + b"\r\n"
        yield f"lines {filling!r}*", HEAD + many + b"\r\n\r\n"
    for line in LINES:
        yield f"{line!r}*", HEAD + line * (size // len(line)) + b"\r\n"
        yield f"{line!r}* first", HEAD.replace(b"\r\n", b"\r\n" + line * (size // len(line)), 1) + b"\r\n"
    half = size // 8
    yield "late repeats", HEAD.replace(b"\r\n", b"\r\n" + b"x:\r\n" * half, 1) + b"t:\r\n" * half + b"\r\n"
    yield "every name another", HEAD + b"".join(b"%x:\r\n" % number for number in range(size // 7)) + b"\r\n"
