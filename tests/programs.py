"""The programs that tests need. A missing one is a loud skip on a laptop, and a failure in CI (CI=true)."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

PACKAGES = {
    "initdb": "postgresql",
    "kamailio": "kamailio kamailio-sqlite-modules kamailio-python3-modules kamailio-extra-modules",
    "kamcmd": "kamailio",
    "pg_ctl": "postgresql",
    "sipp": "sip-tester",
    "sipsak": "sipsak",
}
"""Debian's packages, by program."""


def need(program: str) -> str:
    """The path of `program`; where it is missing, the test is skipped, or fails in CI, with the name of its package."""
    found = shutil.which(program, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", *_postgresql_directories()]))
    if found:
        return found
    missing = f"{program} is missing: apt-get install {PACKAGES.get(program, program)}"
    if os.environ.get("CI") == "true":
        pytest.fail(missing)
    pytest.skip(f"NOT TESTED, {missing}")


def _postgresql_directories() -> list[str]:
    """Where Debian has the programs of the server, newest first; they are not in PATH."""
    versions = Path("/usr/lib/postgresql").glob("*/bin")
    return [str(path) for path in sorted(versions, key=lambda path: path.parent.name.zfill(4), reverse=True)]
