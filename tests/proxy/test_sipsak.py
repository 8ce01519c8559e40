"""sipsak, a real client, against a running proxy."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from proxy.transport.base import is_local
from tests.programs import need
from tests.proxy.processes import LIMIT, started
from tests.proxy.test_server import ROUTE

HOSTS = ["127.0.0.1", "127.0.0.2"]


def sipsak(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([need("sipsak"), *arguments], capture_output=True, text=True, timeout=LIMIT, check=False)


@pytest.mark.parametrize("host", HOSTS)
def test_options_is_answered(tmp_path: Path, host: str) -> None:
    need("sipsak")
    if not is_local(host):
        pytest.skip(f"NOT TESTED, {host} is no address of this machine")
    with started(tmp_path, ROUTE, listen=[f"udp:{host}:0"]) as process:
        ended = sipsak("-vvv", "-s", f"sip:bob@{host}:{process.port()}")
    assert ended.returncode == 0, ended
    assert re.search(r"^SIP/2\.0 200 OK", ended.stdout, re.MULTILINE), ended.stdout
    assert re.search(r"^Via: SIP/2\.0/UDP .*;rport=\d+.*;received=", ended.stdout, re.MULTILINE), ended.stdout


def test_an_error_answer_is_understood(tmp_path: Path) -> None:
    need("sipsak")
    with started(tmp_path, ROUTE.replace("200", "404")) as process:
        ended = sipsak("-vvv", "-s", f"sip:bob@127.0.0.1:{process.port()}")
    assert ended.returncode == 1, ended
    assert "SIP/2.0 404 Not Found" in ended.stdout


def test_a_request_that_goes_round_comes_back(tmp_path: Path) -> None:
    """A proxy that forwards to itself: it answers 482 at its second turn, which comes back along all the Via."""
    need("sipsak")
    loop = ROUTE.replace("request.reply(200)", "request.forward(f'127.0.0.1:{request.transport.local[1]}')")
    with started(tmp_path, loop) as process:
        ended = sipsak("-vvv", "-m", "3", "-s", f"sip:bob@127.0.0.1:{process.port()}")
    assert "SIP/2.0 482 Loop Detected" in ended.stdout, ended
    answer = ended.stdout.partition("SIP/2.0 482")[2]
    assert len(re.findall(r"^Via:", answer, re.MULTILINE)) == 1
