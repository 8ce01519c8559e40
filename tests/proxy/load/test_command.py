"""mqproxy load as a person types it: exit status, messages, files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from proxy.load.ports import free_port
from tests.programs import need
from tests.proxy.load.proxies import HOST, PATIENCE, running

CHECKOUT = Path(__file__).parents[3]


def mqproxy(*arguments: str, directory: Path, path: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT), "PATH": path if path is not None else os.environ["PATH"]}
    command = [sys.executable, "-m", "proxy", *arguments]
    return subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False)


def test_success_is_0_and_leaves_the_results_in_a_directory_of_its_own(tmp_path: Path) -> None:
    need("sipp")
    with running("demo.py", tmp_path) as proxy:
        done = mqproxy("load", "message", "--target", proxy.target, "--calls", "10", directory=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "10 started, 10 succeeded, 0 failed" in done.stdout
    (directory,) = tmp_path.glob("load-message-*")
    assert str(directory.name) in done.stdout
    assert json.loads((directory / "result.json").read_text())["succeeded"] is True
    assert (directory / "progress.csv").read_text().startswith("seconds,started,open,succeeded,failed,retransmissions\n")


def test_failed_calls_are_1(tmp_path: Path) -> None:
    need("sipp")
    with running("bench.py", tmp_path) as proxy:
        done = mqproxy("load", "invite", "--target", proxy.target, "--calls", "2", "--output", "o", directory=tmp_path)
    assert done.returncode == 1
    assert "2 of 2 calls failed" in done.stdout
    assert json.loads((tmp_path / "o/result.json").read_text())["calls"]["failed"] == 2


def test_what_cannot_run_is_2_with_the_remedy(tmp_path: Path) -> None:
    target = f"{HOST}:{free_port(HOST)}"
    for sender in ("sipp", "builtin") if need("sipp") else ():
        done = mqproxy("load", "message", "--target", target, "--transport", "tcp", "--sender", sender, directory=tmp_path)
        assert done.returncode == 2
        assert "mqproxy run FILE" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_without_sipp_the_sender_of_our_own_is_used_and_says_so(tmp_path: Path) -> None:
    with running("demo.py", tmp_path) as proxy:
        done = mqproxy("load", "options", "--target", proxy.target, "--calls", "10", "--output", "o", directory=tmp_path, path="")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("SIPp is not installed (apt-get install sip-tester): the built-in sender is used\n")
    assert json.loads((tmp_path / "o/result.json").read_text())["sender"] == "builtin"


def test_without_sipp_what_takes_it_is_2(tmp_path: Path) -> None:
    for arguments in (("invite",), ("message", "--sender", "sipp")):
        done = mqproxy("load", *arguments, directory=tmp_path, path="")
        assert done.returncode == 2
        assert "apt-get install sip-tester" in done.stderr


def test_an_output_that_cannot_be_written_is_2(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with running("demo.py", tmp_path) as proxy:
        arguments = ("--target", proxy.target, "--calls", "1", "--sender", "builtin", "--output", "file/o")
        done = mqproxy("load", "message", *arguments, directory=tmp_path)
    assert done.returncode == 2
    assert "cannot write the results to file/o: Not a directory; give another --output" in done.stderr


def test_ctrl_c_is_130_and_shows_what_there_is(tmp_path: Path) -> None:
    need("sipp")
    with running("demo.py", tmp_path) as proxy:
        command = [sys.executable, "-m", "proxy", "load", "message", "--target", proxy.target, "--calls", "100000", "--output", "o"]
        environment = {**os.environ, "PYTHONPATH": str(CHECKOUT), "PYTHONUNBUFFERED": "1"}
        with subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            first = process.stdout.readline()  # the first line of progress
            process.send_signal(signal.SIGINT)
            rest, _ = process.communicate(timeout=PATIENCE)
    assert " ok, 0 failed" in first
    assert process.returncode == 130
    assert "interrupted; all calls succeeded" in rest
    assert json.loads((tmp_path / "o/result.json").read_text())["interrupted"] is True


def test_wrong_arguments_are_2(tmp_path: Path) -> None:
    for arguments in (("nothing",), ("message", "--rate", "0"), ("message", "--calls", "0"), ("message", "--target", "a b")):
        assert mqproxy("load", *arguments, directory=tmp_path).returncode == 2


def test_the_help_names_every_scenario_and_the_start_stays_light(tmp_path: Path) -> None:
    assert "invite" in mqproxy("load", "--help", directory=tmp_path).stdout
    heavy = "{'proxy.load.report', 'proxy.load.runner', 'proxy.load.choice', 'proxy.demo.story'}"
    code = f"import sys, proxy.cli; sys.exit(bool({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, check=False, timeout=PATIENCE).returncode == 0
