"""mqproxy demo from end to end, and the pictures that it draws."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from proxy.demo.picture import chart, line
from tests.programs import need

CHECKOUT = Path(__file__).parents[1]
PATIENCE = 90.0  # seconds until a test that hangs is given up


def demo(*arguments: str, path: str | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    known = {**os.environ, **environment, "PYTHONPATH": str(CHECKOUT), "PATH": path if path is not None else os.environ["PATH"]}
    command = [sys.executable, "-m", "proxy", "demo", *arguments]
    return subprocess.run(command, env=known, capture_output=True, text=True, timeout=PATIENCE, check=False)


def assert_went_well(done: subprocess.CompletedProcess[str]) -> None:
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    assert "FAILED" not in done.stdout
    assert "the proxy says:" not in done.stdout
    assert "0 rows are left in the database after it" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_the_demo_with_sipp(tmp_path: Path) -> None:
    need("sipp")
    done = demo("--seconds", "2", "--directory", str(tmp_path / "run"))
    assert_went_well(done)
    assert "INVITE udp" in done.stdout
    assert {file.name for file in (tmp_path / "run").iterdir()} >= {"demo.db", "proxy.log"}


def test_the_demo_without_sipp_in_ascii() -> None:
    done = demo("--seconds", "1", path="", PYTHONIOENCODING="ascii")
    assert done.stdout.startswith("SIPp is not installed (apt-get install sip-tester): the built-in sender is used\n")
    assert_went_well(done)
    assert done.stdout.isascii()


def test_a_missing_route_file_is_2_with_the_remedy(tmp_path: Path) -> None:
    done = demo("--script", str(tmp_path / "none.py"))
    assert done.returncode == 2
    assert "run the demo in a source checkout, or give a route file with --script" in done.stderr


def test_a_route_file_that_cannot_start_is_2_with_its_log(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("from proxy import nothing\n")
    done = demo("--script", str(tmp_path / "broken.py"), "--directory", str(tmp_path / "run"))
    assert done.returncode == 2
    assert "the proxy did not start" in done.stderr
    assert "cannot import name 'nothing'" in done.stderr


@pytest.mark.parametrize(
    ("values", "drawn"),
    [([], ""), ([0, 0], ""), ([0, 4, 8], " ▄█"), ([8, 8, 0, 1, 4], " ▁▄"), ([1, 1000], "▁█")],
)
def test_lines(values: list[float], drawn: str) -> None:
    assert line(values, 3) == drawn


def test_charts() -> None:
    assert chart([0, 4, 8], 3, 2) == ["  █", " ██"]
    assert chart([0, 1], 4, 2, unicode=False) == ["  ##", "  ##"]
    assert chart([1, 5, 2, 8], 2, 1) == ["▅█"]
    assert chart([], 10, 2) == ["", ""]
    assert chart([0], 3, 2) == ["   ", "   "]
