"""Where the tests of persistence keep their queues."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "queues.db"


@pytest.fixture
def recovery_file(file: Path) -> Path:
    return file.with_name("queues.db.q.recovery.jsonl")
