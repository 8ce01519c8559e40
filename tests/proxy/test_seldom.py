from __future__ import annotations

import logging

import pytest

from proxy import seldom

LOG = logging.getLogger("mqproxy.test")


def test_a_kind_is_told_once_a_second(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    now = 100.0
    monkeypatch.setattr(seldom, "_told", {})
    monkeypatch.setattr(seldom, "monotonic", lambda: now)
    for peer in range(1000):
        seldom.warn_seldom(LOG, "cannot send to %d", peer)
        seldom.warn_seldom(LOG, "cannot connect to %d", peer)
    now += 1.0
    seldom.warn_seldom(LOG, "cannot send to %d", 7)
    assert [record.getMessage() for record in caplog.records] == ["cannot send to 0", "cannot connect to 0", "cannot send to 7"]
