"""Coverage-guided fuzzing of the parser and the receiver: ``python tests/fuzz/fuzz_parser.py -max_total_time=60`` (make fuzz).

Needs the extra `fuzz` (atheris). The messages of RFC 4475 are what it starts from; what it finds is written to a file, whose bytes
belong into a test.
"""

from __future__ import annotations

import logging
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
WORDS = [b"\r\n", b"\r\n ", b"Via: ", b"Content-Length: ", b"SIP/2.0", b"z9hG4bK", b";rport", b";tag=", b"<sip:a@b;lr>", b'"', b"Route: "]


def main() -> None:
    sys.path.insert(0, str(ROOT))
    try:
        import atheris  # type: ignore[import-untyped,import-not-found,unused-ignore]
    except ImportError:
        sys.exit("atheris is missing: pip install 'mqproxy[fuzz]'")
    logging.disable(logging.CRITICAL)
    with atheris.instrument_imports(include=["proxy"]):
        from tests.fuzz.properties import check
    with tempfile.TemporaryDirectory() as corpus, tempfile.NamedTemporaryFile("w", suffix=".dict") as words:
        for seed in (ROOT / "tests" / "torture").glob("*.dat"):
            (Path(corpus) / seed.name).write_bytes(seed.read_bytes())
        words.writelines('"' + "".join(f"\\x{byte:02x}" for byte in word) + '"\n' for word in WORDS)
        words.flush()
        atheris.Setup([sys.argv[0], *sys.argv[1:], f"-dict={words.name}", "-max_len=8192", "-timeout=10", corpus], check)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
