"""The life of the process: start, signals, reload, and what it says when it cannot start."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from proxy.config import Config, Listen
from proxy.server import Server
from proxy.transport.base import is_local
from tests.proxy.processes import LIMIT, ask, started
from tests.proxy.wire import MESSAGE, edited

ROUTE = """
from mqueue import mq_add
from proxy import Request, modparam, route, timer

@route.request()
def accept(request: Request) -> None:
    request.reply(200)
"""
QUEUE = """
modparam("mqueue", "db_url", "sqlite:///kept.db")
modparam("mqueue", "mqueue", "name=events;dbmode=1")

@route.request("INFO")
def note(request: Request) -> None:
    mq_add("events", request.call_id, request.expand("$fU $mq_size(events)"))
    request.reply(200)
"""
MANY = ("udp:127.0.0.1:0", "tcp:127.0.0.1:0", *(("udp:[::1]:0", "tcp:[::1]:0") if is_local("::1") else ()))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_the_queues_and_exits_0(tmp_path: Path, number: signal.Signals) -> None:
    with started(tmp_path, ROUTE + QUEUE, listen=MANY) as process:
        port = process.port()
        for count in range(3):
            assert ask(port, f"c{count}", "INFO") == "SIP/2.0 200 OK"
        process.signal(number)
        status, said = process.end()
    assert status == 0, said
    assert "queue events: 3 items saved" in said
    with closing(sqlite3.connect(tmp_path / "kept.db")) as database:
        assert database.execute("SELECT key, val FROM events ORDER BY id").fetchall() == [
            ("c0", "alice 0"),
            ("c1", "alice 1"),
            ("c2", "alice 2"),
        ]


def test_what_was_saved_is_there_after_a_restart(tmp_path: Path) -> None:
    for before in (0, 1, 2):
        with started(tmp_path, ROUTE + QUEUE) as process:
            port = process.port()
            assert ask(port, f"c{before}", "INFO") == "SIP/2.0 200 OK"
            process.signal(signal.SIGTERM)
            status, said = process.end()
        assert status == 0, said
        assert f"queue events: {before} items loaded from the database" in said
        assert f"queue events: {before + 1} items saved" in said


def test_a_signal_while_the_queues_are_read_loses_nothing(tmp_path: Path) -> None:
    """The first line about the database comes before the sockets are open: whoever signals then is heard too."""
    with started(tmp_path, ROUTE + QUEUE) as process:
        assert ask(process.port(), "c1", "INFO") == "SIP/2.0 200 OK"
        process.signal(signal.SIGTERM)
        assert process.end()[0] == 0
    with started(tmp_path, ROUTE + QUEUE) as process:
        process.wait_for("queue events: dbmode")
        process.signal(signal.SIGTERM)
        status, said = process.end()
    assert status == 0, said
    assert "queue events: 1 items saved" in said


HANGING = ROUTE + (
    "import threading\n"
    "@timer(interval=0.01)\n"
    "def hang() -> None:\n"
    "    print('hangs', file=__import__('sys').stderr, flush=True)\n"
    "    threading.Event().wait()\n"
)


def test_a_second_signal_exits_at_once(tmp_path: Path) -> None:
    with started(tmp_path, HANGING, "--stop-timeout", "600") as process:
        process.port()
        process.wait_for("hangs")
        process.signal(signal.SIGTERM)
        process.wait_for("SIGTERM: stopping; once more to stop at once")
        process.signal(signal.SIGTERM)
        status, said = process.end()
    assert status == 1
    assert "stopped at once by a second signal: nothing is saved" in said


def test_a_timer_that_hangs_does_not_keep_it_from_stopping(tmp_path: Path) -> None:
    with started(tmp_path, HANGING, "--stop-timeout", "0.1") as process:
        process.port()
        process.wait_for("hangs")
        process.signal(signal.SIGTERM)
        status, said = process.end()
    assert status == 0, said
    assert "timer hang did not end within 0.1 s" in said


def test_an_async_route_may_end_before_it_stops(tmp_path: Path) -> None:
    slow = ROUTE.replace("def accept", "async def accept").replace(
        "    request.reply(200)",
        "    import asyncio, sys\n    print('under way', file=sys.stderr, flush=True)\n"
        "    await asyncio.sleep(0.3)\n    request.reply(200)",
    )
    with started(tmp_path, slow) as process:
        port = process.port()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.settimeout(LIMIT)
            peer.sendto(edited(MESSAGE, (b"198.51.100.7:40000;", b"127.0.0.1;rport;")), ("127.0.0.1", port))
            process.wait_for("under way")
            process.signal(signal.SIGTERM)
            assert peer.recv(65535).startswith(b"SIP/2.0 200 OK\r\n")
        assert process.end()[0] == 0


def test_sighup_reads_the_route_file_again(tmp_path: Path) -> None:
    with started(tmp_path, ROUTE) as process:
        port = process.port()
        assert ask(port) == "SIP/2.0 200 OK"
        (tmp_path / "routes.py").write_text(ROUTE.replace("200", "404"))
        process.signal(signal.SIGHUP)
        process.wait_for("reloaded routes.py")
        assert ask(port) == "SIP/2.0 404 Not Found"
        (tmp_path / "routes.py").write_text(ROUTE.replace("200", "500 +") + "\nmq_add('nope', '', '')\n")
        process.signal(signal.SIGHUP)
        process.wait_for(r"not reloaded: routes\.py:7: SyntaxError")
        assert ask(port) == "SIP/2.0 404 Not Found"
        (tmp_path / "routes.py").write_text(ROUTE + "\nimport sys\nsys.exit(5)\n")
        process.signal(signal.SIGHUP)
        process.wait_for(r"not reloaded: routes\.py:10: SystemExit: 5")
        (tmp_path / "routes.py").unlink()
        process.signal(signal.SIGHUP)
        process.wait_for("not reloaded: routes.py.*there is no such route file")
        assert ask(port) == "SIP/2.0 404 Not Found"
        process.signal(signal.SIGTERM)
        assert process.end()[0] == 0


def test_a_reload_keeps_what_is_queued_and_changes_timers(tmp_path: Path) -> None:
    with started(tmp_path, ROUTE + QUEUE) as process:
        port = process.port()
        assert ask(port, "c1", "INFO") == "SIP/2.0 200 OK"
        (tmp_path / "routes.py").write_text(
            ROUTE
            + QUEUE
            + "import mqueue, sys\n@timer(interval=0.01)\ndef show() -> None:\n"
            + "    print('size', mqueue.mq_size('events'), file=sys.stderr, flush=True)\n"
        )
        process.signal(signal.SIGHUP)
        process.wait_for("reloaded routes.py")
        process.wait_for("size 1")
        process.signal(signal.SIGTERM)
        status, said = process.end()
    assert status == 0, said
    assert "queue events: 1 items saved" in said


def test_a_queue_that_a_reload_adds_is_read_from_the_database(tmp_path: Path) -> None:
    with started(tmp_path, ROUTE + QUEUE) as process:
        port = process.port()
        with closing(sqlite3.connect(tmp_path / "kept.db")) as db, db:
            db.execute("CREATE TABLE later (id INTEGER PRIMARY KEY AUTOINCREMENT, key VARCHAR(64), val VARCHAR(4096))")
            db.execute("INSERT INTO later (key, val) VALUES ('k', 'v')")
        (tmp_path / "routes.py").write_text(ROUTE + QUEUE + 'modparam("mqueue", "mqueue", "name=later;dbmode=1")\n')
        process.signal(signal.SIGHUP)
        process.wait_for("queue later: 1 items loaded")
        process.wait_for("reloaded routes.py")
        assert ask(port) == "SIP/2.0 200 OK"


def test_a_reload_whose_queue_cannot_be_read_changes_nothing_and_the_next_one_works(tmp_path: Path) -> None:
    later = 'modparam("mqueue", "mqueue", "name=later;dbmode=1")\n'
    with started(tmp_path, ROUTE + QUEUE, "--reload") as process:
        port = process.port()
        with closing(sqlite3.connect(tmp_path / "kept.db")) as db, db:
            db.execute("CREATE TABLE later (id INTEGER PRIMARY KEY, other TEXT)")
        (tmp_path / "routes.py").write_text(ROUTE.replace("200", "404") + QUEUE + later)
        process.wait_for("not reloaded: queue 'later': table 'later' .* lacks key, val")
        assert ask(port) == "SIP/2.0 200 OK"
        with closing(sqlite3.connect(tmp_path / "kept.db")) as db, db:
            db.execute("DROP TABLE later")
        (tmp_path / "routes.py").write_text(ROUTE.replace("200", "403") + QUEUE + later)
        process.wait_for("reloaded routes.py")
        assert ask(port) == "SIP/2.0 403 Forbidden"


def test_a_next_hop_that_refuses_the_connection_is_answered_503(tmp_path: Path) -> None:
    source = ROUTE.replace("request.reply(200)", "request.forward('sip:127.0.0.1:1;transport=tcp')")
    with started(tmp_path, source, listen=("udp:127.0.0.1:0", "tcp:127.0.0.1:0")) as process:
        assert ask(process.port()) == "SIP/2.0 503 Service Unavailable"


def test_a_sighup_after_sigterm_starts_nothing_again(tmp_path: Path) -> None:
    """The timer that hangs keeps the stop waiting; a reload meanwhile must not start timers that outlive the save."""
    with started(tmp_path, HANGING + QUEUE, "--stop-timeout", "0.5") as process:
        port = process.port()
        process.wait_for("hangs")
        assert ask(port, "c1", "INFO") == "SIP/2.0 200 OK"
        process.signal(signal.SIGTERM)
        process.wait_for("SIGTERM: stopping")
        process.signal(signal.SIGHUP)
        status, said = process.end()
    assert status == 0, said
    assert "reloaded" not in said
    assert "queue events: 1 items saved" in said


def test_a_timer_that_hangs_is_not_started_beside_itself_by_a_reload(tmp_path: Path) -> None:
    source = """
import sys, time
from proxy import Request, route, timer

@route.request()
def accept(request: Request) -> None:
    request.reply(200)

@timer(interval=0.01)
def slow() -> None:
    print("begins", file=sys.stderr, flush=True)
    time.sleep(1.5)
    print("ends", file=sys.stderr, flush=True)
"""
    with started(tmp_path, source, "--stop-timeout", "0.05") as process:
        process.wait_for("begins")
        process.signal(signal.SIGHUP)
        process.wait_for("reloaded")
        process.wait_for("begins")
        process.signal(signal.SIGTERM)
        _, said = process.end()
    events = re.findall(r"^(begins|ends)$", said, re.MULTILINE)
    assert events[:3] == ["begins", "ends", "begins"]


def test_a_stop_during_a_reload_saves(tmp_path: Path) -> None:
    """The reload waits for a timer that hangs; the signal comes meanwhile."""
    with started(tmp_path, HANGING + QUEUE, "--stop-timeout", "0.5") as process:
        port = process.port()
        process.wait_for("hangs")
        assert ask(port, "c1", "INFO") == "SIP/2.0 200 OK"
        process.signal(signal.SIGHUP)
        assert ask(port, "c2", "INFO") == "SIP/2.0 200 OK"
        process.signal(signal.SIGTERM)
        status, said = process.end()
    assert status == 0, said
    assert "queue events: 2 items saved" in said


def test_reload_watches_the_route_file(tmp_path: Path) -> None:
    with started(tmp_path, ROUTE, "--reload") as process:
        port = process.port()
        assert ask(port) == "SIP/2.0 200 OK"
        os.utime(tmp_path / "routes.py", ns=(10**9, 10**9))
        process.wait_for("reloaded routes.py")
        (tmp_path / "routes.py").write_text(ROUTE.replace("200", "200 +"))
        process.wait_for(r"not reloaded: routes\.py:7: SyntaxError")
        (tmp_path / "routes.py").write_text(ROUTE.replace("200", "486"))
        process.wait_for("reloaded routes.py")
        assert ask(port) == "SIP/2.0 486 Busy Here"


def test_a_reload_that_fails_unforeseen_is_told_and_the_next_one_works(tmp_path: Path) -> None:
    with started(tmp_path, ROUTE) as process:
        port = process.port()
        (tmp_path / "routes.py").write_text("class Odd(BaseException): ...\nraise Odd('of the route file')\n")
        process.signal(signal.SIGHUP)
        process.wait_for("a reload or the line of statistics failed")
        process.wait_for("Odd: of the route file")
        (tmp_path / "routes.py").write_text(ROUTE)
        process.signal(signal.SIGHUP)
        process.wait_for("reloaded")
        assert ask(port) == "SIP/2.0 200 OK"


def test_a_long_load_and_save_show_how_far_they_are(tmp_path: Path) -> None:
    slow = "\nfrom mqueue import progress\nprogress.Bar.__init__.__defaults__ = (0.0,)  # as if a second were over at once\n"
    with started(tmp_path, ROUTE + QUEUE + slow) as process:
        assert ask(process.port(), "c0", "INFO") == "SIP/2.0 200 OK"
        process.signal(signal.SIGTERM)
        status, said = process.end()
    assert status == 0, said
    assert "queue events: 1 of 1 items done" in said


def test_json_logs_carry_the_call_id(tmp_path: Path) -> None:
    failing = ROUTE.replace("request.reply(200)", "raise LookupError('no such subscriber')")
    with started(tmp_path, failing, "--log-format", "json", "--log-level", "debug") as process:
        assert ask(process.port(), "the-call-id") == "SIP/2.0 500 Server Internal Error"
        record = json.loads(process.wait_for("LookupError"))
        process.signal(signal.SIGTERM)
        status, said = process.end()
    assert status == 0, said
    assert record["call_id"] == "the-call-id"
    assert record["level"] == "error"
    assert "route accept" in record["event"]
    assert "LookupError: no such subscriber" in record["exception"]
    assert all(isinstance(json.loads(line), dict) for line in said.splitlines())


def test_stats_are_a_log_line(tmp_path: Path) -> None:
    with started(tmp_path, ROUTE + QUEUE, "--stats", "0.05", "--log-format", "json") as process:
        assert ask(process.port(), "c1", "INFO") == "SIP/2.0 200 OK"
        figures = json.loads(process.wait_for('"requests": 1'))
        process.signal(signal.SIGTERM)
        assert process.end()[0] == 0
    assert figures["event"] == "stats"
    assert figures["replies"] == {"200": 1}
    assert figures["queues"]["events"]["size"] == 1


def test_a_program_with_a_loop_of_its_own_keeps_its_garbage_collector(tmp_path: Path) -> None:
    (tmp_path / "routes.py").write_text(ROUTE)

    async def scenario() -> int:
        server = Server(Config(tmp_path / "routes.py", (Listen.parse("udp:127.0.0.1:0"),)))
        before = gc.get_freeze_count()
        await server.start()
        frozen = gc.get_freeze_count() - before
        await server.stop()
        return frozen

    assert asyncio.run(scenario()) == 0


def cannot_start(folder: Path, *arguments: str) -> str:
    """What is said by a process that ends at once with status 1."""
    root = Path(__file__).parent.parent.parent
    ended = subprocess.run(
        [sys.executable, "-m", "proxy", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert ended.returncode == 1, ended
    assert "Traceback" not in ended.stderr
    return ended.stderr


@pytest.mark.parametrize(("protocol", "kind", "flag"), [("udp", socket.SOCK_DGRAM, "u"), ("tcp", socket.SOCK_STREAM, "t")])
def test_a_port_in_use_is_told_with_its_address_and_remedy(tmp_path: Path, protocol: str, kind: socket.SocketKind, flag: str) -> None:
    (tmp_path / "routes.py").write_text(ROUTE)
    with closing(socket.socket(socket.AF_INET, kind)) as taken:
        taken.bind(("127.0.0.1", 0))
        if protocol == "tcp":
            taken.listen()
        address = f"{protocol}:127.0.0.1:{taken.getsockname()[1]}"
        said = cannot_start(tmp_path, "run", "routes.py", "--listen", "udp:127.0.0.1:0", "--listen", address)
    assert f"mqproxy: cannot listen on {address}: Address already in use; another program has it (ss -{flag}lpn" in said


@pytest.mark.parametrize(
    ("source", "arguments", "words"),
    [
        (ROUTE, ["nowhere.py"], "mqproxy: nowhere.py: there is no such route file; try routes/demo.py"),
        (ROUTE, ["routes.py", "--listen", "sctp:127.0.0.1"], "mqproxy: listen 'sctp:127.0.0.1': write udp:HOST:PORT or tcp:HOST:PORT"),
        (ROUTE, ["routes.py", "--listen", "udp:192.0.2.1:5060"], "no interface of this machine has this address"),
        (ROUTE, ["routes.py", "--alias", "a b"], "mqproxy: alias 'a b': write HOST or HOST:PORT"),
        (ROUTE + "modparam('mqueue', 'mqueue', 'size=1')\n", ["routes.py"], 'mqproxy: routes.py:8: modparam("mqueue", "mqueue"): '),
        (ROUTE + "    mq_add('nope', '', '')\n", ["routes.py"], "mqproxy: routes.py:8: mq_add: no queue 'nope'"),
        (ROUTE + "x = = 1\n", ["routes.py"], "mqproxy: routes.py:8: SyntaxError: invalid syntax"),
        (ROUTE + QUEUE, ["routes.py"], "kept.db"),
    ],
)
def test_what_keeps_it_from_starting_is_told(tmp_path: Path, source: str, arguments: list[str], words: str) -> None:
    (tmp_path / "routes.py").write_text(source)
    (tmp_path / "kept.db").write_text("this is no database, and it is longer than a page of one" * 100)
    listen = [] if "--listen" in arguments else ["--listen", "udp:127.0.0.1:0"]
    assert words in cannot_start(tmp_path, "run", *arguments, *listen)


def test_check_prints_the_plan_and_all_mistakes(tmp_path: Path) -> None:
    (tmp_path / "routes.py").write_text(ROUTE + QUEUE + "    mq_add('nope', request.pv('$fX'), '')\nmodparam('nosuch', 'a', 1)\n")
    said = cannot_start(tmp_path, "check", "routes.py", "--listen", "nonsense")
    for words in (
        "routes.py:16: mq_add: no queue 'nope'",
        "routes.py:16: there is no pseudo-variable $fX",
        "routes.py:17: modparam",
        "listen 'nonsense'",
    ):
        assert words in said


def test_what_keeps_it_from_starting_is_a_json_line_where_logs_are_json(tmp_path: Path) -> None:
    (tmp_path / "routes.py").write_text("import nothing_of_this_name\n")
    command = [sys.executable, "-m", "proxy", "run", "routes.py", "--log-format", "json"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=LIMIT)
    assert ended.returncode == 1
    [line] = [json.loads(line) for line in ended.stderr.splitlines()]
    assert line["event"].startswith("cannot start: routes.py:1: ModuleNotFoundError")
