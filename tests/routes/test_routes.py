from __future__ import annotations

import json
import logging
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from mqueue import mq_size
from proxy.loader import load
from tests.routes.running import ROUTES, Phone, run, running, until, web_server


@pytest.fixture(autouse=True)
def in_own_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("route", sorted(path.name for path in ROUTES.glob("*.py")))
def test_every_route_is_short_and_loads(route: str) -> None:
    assert len((ROUTES / route).read_text().splitlines()) <= 40
    assert load(ROUTES / route).all_routes()


def test_the_bench_route_queues_and_drains() -> None:
    async def test() -> None:
        async with running("bench.py") as server:
            phone = await Phone.connect(server)
            assert await phone.ask("MESSAGE") == "SIP/2.0 200 OK"
            await until(lambda: mq_size("q1") == 0)
            phone.transport.close()

    run(test)


def rows(database: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(database)) as db:
        return db.execute("SELECT call_id, method, caller, callee FROM cdr ORDER BY rowid").fetchall()


def test_cdr_writes_calls_to_sql_and_forwards_them(tmp_path: Path) -> None:
    async def test() -> None:
        async with running("cdr.py") as server:
            caller, callee = await Phone.connect(server), await Phone.connect(server)
            uri = f"sip:bob@127.0.0.1:{callee.port}"
            call_id = caller.send("INVITE", uri)
            assert (await callee.answer()).startswith(f"INVITE {uri} SIP/2.0")
            caller.send("INVITE", uri, to_tag=";tag=2")
            caller.send("OPTIONS", uri)
            bye = caller.send("BYE", uri, to_tag=";tag=2")
            for method in ("INVITE", "OPTIONS", "BYE"):
                assert (await callee.answer()).startswith(method)
            await until(lambda: mq_size("cdr") == 0 and Path("cdr.db").exists() and len(rows("cdr.db")) == 2)
            assert rows("cdr.db") == [
                (call_id, "INVITE", "sip:alice@example.com", uri),
                (bye, "BYE", "sip:alice@example.com", uri),
            ]
            caller.transport.close()
            callee.transport.close()

    run(test)


def test_cdr_keeps_what_sql_refuses(caplog: pytest.LogCaptureFixture) -> None:
    Path("cdr.db").write_text("no database at all, and long enough to be one" * 100)

    async def test() -> None:
        async with running("cdr.py") as server:
            caller = await Phone.connect(server)
            caller.send("INVITE", f"sip:bob@127.0.0.1:{caller.port}")
            await until(lambda: server.counters.timer_errors["write"] > 0 and mq_size("cdr") == 1)
            caller.transport.close()

    run(test)
    assert "timer write" in caplog.text


def test_webhook_tries_again_and_puts_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[dict[str, object]] = []

    def answer(body: bytes) -> int:
        calls.append(json.loads(body))
        return 200 if len(calls) > 1 else 503

    async def test() -> None:
        async with running("webhook.py") as server:
            phone = await Phone.connect(server)
            assert await phone.ask("REGISTER") == "SIP/2.0 200 OK"
            await until(lambda: len(calls) == 2 and mq_size("hooks") == 0)
            phone.transport.close()

    with web_server(answer) as url:
        monkeypatch.setenv("WEBHOOK_URL", url)
        run(test)
    assert [call["attempt"] for call in calls] == [1, 2]
    assert calls[0]["method"] == "REGISTER"
    assert calls[0]["from"] == "sip:alice@example.com"


def test_webhook_gives_up_in_the_end(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WEBHOOK_URL", "http://127.0.0.1:1/nobody")
    impatient = (ROUTES / "webhook.py").read_text().replace("0.5 * 2 **", "0 * 2 **")
    (tmp_path / "webhook.py").write_text(impatient)

    async def test() -> None:
        async with running(str(tmp_path / "webhook.py")) as server:
            phone = await Phone.connect(server)
            await phone.ask("REGISTER")
            await until(lambda: mq_size("hooks.dead") == 1)
            assert mq_size("hooks") == 0
            phone.transport.close()

    run(test)


def test_flood_refuses_one_source(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "flood")

    async def test() -> None:
        async with running("flood.py") as server:
            phone = await Phone.connect(server)
            for _ in range(150):
                await phone.ask("OPTIONS")
            await until(lambda: "127.0.0.1 sent" in caplog.text)
            phone.send("OPTIONS")
            await until(lambda: server.counters.drops["dropped by route"] == 1)
            phone.transport.close()

    run(test)


def test_gateway_hands_messages_over_and_keeps_what_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[dict[str, str]] = []

    def answer(body: bytes) -> int:
        calls.append(json.loads(body))
        return 500 if len(calls) == 1 else 200

    async def test() -> None:
        async with running("gateway.py") as server:
            phone = await Phone.connect(server)
            assert await phone.ask("MESSAGE", "sip:+15550100@127.0.0.1", "grüß dich") == "SIP/2.0 202 Accepted"
            await until(lambda: len(calls) == 2 and mq_size("sms") == 0)
            phone.transport.close()

    with web_server(answer) as url:
        monkeypatch.setenv("GATEWAY_URL", url)
        run(test)
    assert calls[0] == calls[1] == {"from": "alice", "to": "+15550100", "text": "grüß dich"}
