"""A process that replaces a table of many items, and is killed on the way."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
from multiprocessing.connection import Connection
from pathlib import Path

from mqueue import Registry
from mqueue.persistence import Persistence
from mqueue.progress import Progress
from tests.mqueue import sqlite_file

SAVED = 50_000
GENERATIONS = ("old", "new")
_context = multiprocessing.get_context("forkserver")  # imports are done once, not in every process
_context.set_forkserver_preload(["tests.mqueue.saver"])


def killed_while_saving(file: Path, *, at_chunk: int = 0, after: float = 0.0) -> bool:
    """Fill the table with old items, then kill a process that saves new ones, at a chunk of its save or `after` seconds of it.

    False when the process had ended before.
    """
    sqlite_file.create(file, "q", ((str(number), GENERATIONS[0]) for number in range(SAVED)))
    ours, theirs = _context.Pipe()
    process = _context.Process(target=_save, args=(file, at_chunk, theirs))
    process.start()
    theirs.close()
    ours.recv()  # loaded and filled: it saves from now on
    if not at_chunk:
        process.join(after)
        process.kill()
    process.join()
    ours.close()
    return process.exitcode == -signal.SIGKILL


def _save(file: Path, at_chunk: int, ready: Connection) -> None:
    chunks = 0

    def progress(queue: str, done: int, total: int, /) -> None:
        nonlocal chunks
        chunks += 1
        if chunks == at_chunk:
            os.kill(os.getpid(), signal.SIGKILL)

    asyncio.run(_replace(file, progress, ready))


async def _replace(file: Path, progress: Progress, ready: Connection) -> None:
    registry = Registry()
    registry.define("name=q;dbmode=save")
    persistence = Persistence(registry, f"sqlite:///{file}", progress=progress)
    await persistence.load()
    for number in range(SAVED):
        registry.mq_add("q", str(number), GENERATIONS[1])
    ready.send("ready")
    await persistence.save()
    await persistence.close()
