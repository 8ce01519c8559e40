"""The life of a proxy: load the route file, bind, read the database, run, and stop in order.

Shutdown: stop listening, let callbacks and timers end for a bounded time, save the queues, close.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mqueue
from proxy.config import Config, Listen
from proxy.counters import Counters
from proxy.errors import ScriptError
from proxy.loader import load
from proxy.outbound import Outbound
from proxy.receiver import Receiver
from proxy.router import Router
from proxy.script import Script
from proxy.sip.via import bracketed
from proxy.timers import Timers
from proxy.transport.stream import StreamListener
from proxy.transport.udp import UdpListener

if TYPE_CHECKING:
    from mqueue.persistence import Persistence

log = logging.getLogger("mqproxy")

_WATCH_INTERVAL = 0.5  # seconds between looks at the route file


class Server:
    """One proxy with one script. `start` and `stop` are for programs that have a loop of their own, `run` does both."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.counters = Counters()
        self.script = Script()
        self.listeners: list[UdpListener | StreamListener] = []
        self._persistence: Persistence | None = None
        self._router = Router(self.script, self.counters)
        self._receiver = Receiver(self._router, self.counters)
        self._timers = Timers((), self.counters)
        self._chores: set[asyncio.Task[Any]] = set()
        self._stop_asked = asyncio.Event()
        self._stopping = False
        self._reloading = asyncio.Lock()

    async def start(self) -> None:
        """Be ready for requests. Raises ScriptError, ConfigError (an address that cannot be bound), PersistenceError."""
        modified = _modified(self.config.script)
        self.script = self._router.script = load(self.config.script)
        self.script.mqueue.apply(mqueue.queues)
        try:
            await self._bind()
            await self._load_queues()
        except BaseException:
            await self._close()
            raise
        self._timers = Timers(self.script.timers, self.counters)
        self._timers.start()
        for listener in self.listeners:
            await listener.start_receiving()
            log.info("listening on %s:%s:%d", listener.protocol.lower(), bracketed(listener.local[0]), listener.local[1])
        if self.config.watch:
            self._start_chore(self._watch(modified))
        if self.config.stats:
            self._start_chore(self._report())

    async def run(self) -> None:
        """Start, serve until SIGTERM or SIGINT, stop. A second signal ends the process at once. SIGHUP reads the route file again."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):  # before the database is read: what is read must be saved
            loop.add_signal_handler(number, self._asked_to_stop, number)
        loop.add_signal_handler(signal.SIGHUP, lambda: self._start_chore(self.reload()))
        async with self._reloading:  # what SIGHUP asks for meanwhile comes after
            await self.start()
        # What is there now stays: the collector need not look at it again, and what requests make is gone without it.
        gc.collect()
        gc.freeze()
        await self._stop_asked.wait()
        await self.stop()

    async def stop(self) -> None:
        """Stop in order and save the queues. PersistenceError when not even a recovery file could be written."""
        for listener in self.listeners:
            listener.stop_receiving()
        self._stopping = True
        timeout = self.config.stop_timeout
        chores = list(self._chores)
        for chore in chores:
            chore.cancel()
        if chores:  # a reload in between must not start timers that nobody stops
            await asyncio.wait(chores, timeout=timeout)
        await asyncio.gather(self._timers.stop(timeout), self._router.finish(timeout))
        try:
            await self._save_queues()
        finally:
            if self.config.stats:
                self._log_stats()
            await self._close()

    async def reload(self) -> bool:
        """Read the route file again; True when it is in use now. A broken one changes nothing, and what is wrong is logged."""
        async with self._reloading:
            if self._stopping or self._stop_asked.is_set():
                return False
            try:
                script = load(self.config.script)
            except ScriptError as error:
                for problem in error.problems:
                    log.error("not reloaded: %s", problem)
                return False
            if script.mqueue.db_url != self.script.mqueue.db_url:
                kept = "the old one stays in use" if self.script.mqueue.db_url else "until then no queue is saved"
                log.warning("db_url is changed: that takes a restart; %s", kept)
            script.mqueue.apply(mqueue.queues)
            try:
                await self._load_rows()
            except mqueue.PersistenceError as error:
                log.error("not reloaded: %s", error)
                return False
            for name in self.script.mqueue.definitions.keys() - script.mqueue.definitions.keys():
                log.warning(
                    "queue %s is gone from the route file: it stays, with its %d items, until a restart", name, mqueue.mq_size(name)
                )
            self.script = self._router.script = script
            await self._timers.stop(self.config.stop_timeout)
            self._timers = Timers(script.timers, self.counters, after=self._timers)
            self._timers.start()
            log.info("reloaded %s", self.config.script)
            return True

    async def _bind(self) -> None:
        for listen in self.config.listen:
            address = listen.resolve()
            try:
                self.listeners.append(self._listener(listen, address))
            except OSError as error:
                raise listen.refused(error) from None
        self._receiver.outbound = Outbound(self.listeners, self.config.aliases)

    def _listener(self, listen: Listen, address: tuple[str, int]) -> UdpListener | StreamListener:
        receiver = self._receiver
        if listen.protocol == "udp":
            return UdpListener(address, listen.advertised, receiver.receive, self.counters)
        return StreamListener(address, listen.advertised, receiver.receive, receiver.receive_broken, self.counters)

    async def _load_queues(self) -> None:
        parameters = self.script.mqueue
        if parameters.db_url is None:
            return
        from mqueue.persistence import Persistence  # here, since SQLAlchemy takes 0.25 s to import
        from mqueue.progress import Bar

        recovery_dir = Path(parameters.recovery_dir) if parameters.recovery_dir else None
        self._persistence = Persistence(mqueue.queues, parameters.db_url, recovery_dir=recovery_dir, progress=Bar())
        for definition in parameters.definitions.values():
            if definition.dbmode:
                log.info("queue %s: %s", definition.name, _dbmode_in_words(definition.dbmode))
        await self._load_rows()

    async def _load_rows(self) -> None:
        """Read what is kept of the queues that were not read yet: all of them at start-up, new ones after a reload."""
        if self._persistence is None:
            return
        for loaded in await self._persistence.load():
            log.info("queue %s: %d items loaded from the database", loaded.queue, loaded.items, extra={"queue": loaded.queue})
            if loaded.recovered:
                log.info("queue %s: %d of them were in recovery files", loaded.queue, loaded.recovered)
            if loaded.dropped:
                log.warning("queue %s: %d of them were dropped at once, as its size is less", loaded.queue, loaded.dropped)

    async def _save_queues(self) -> None:
        if self._persistence is None:
            return
        for saved in await self._persistence.save():
            log.info("queue %s: %d items saved", saved.queue, saved.items, extra={"queue": saved.queue})
            if saved.recovery_file:
                log.warning(
                    "queue %s: %d items are in %s; a start from this directory loads them",
                    saved.queue,
                    saved.in_recovery_file,
                    saved.recovery_file,
                )

    async def _close(self) -> None:
        await self._receiver.outbound.close()
        for listener in self.listeners:
            listener.close()
        if self._persistence is not None:
            await self._persistence.close()

    def _asked_to_stop(self, number: int) -> None:
        if self._stop_asked.is_set():
            log.warning("stopped at once by a second signal: nothing is saved")
            os._exit(1)
        log.info("%s: stopping; once more to stop at once", signal.Signals(number).name)
        self._stop_asked.set()

    def _start_chore(self, work: Coroutine[Any, Any, object]) -> None:
        chore = asyncio.ensure_future(work)
        self._chores.add(chore)
        chore.add_done_callback(self._chore_ended)

    def _chore_ended(self, chore: asyncio.Task[Any]) -> None:
        self._chores.discard(chore)
        if not chore.cancelled() and (error := chore.exception()):
            log.error("a reload or the line of statistics failed; the proxy goes on", exc_info=error)

    async def _watch(self, seen: int) -> None:
        """Read the route file again whenever it is another than that of `seen`, which is in use."""
        while True:
            await asyncio.sleep(_WATCH_INTERVAL)
            now = _modified(self.config.script)
            if now not in (seen, 0):
                await self.reload()
            seen = now or seen

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(self.config.stats)
            self._log_stats()

    def _log_stats(self) -> None:
        kernel = sum(listener.kernel_drops() for listener in self.listeners if isinstance(listener, UdpListener))
        log.info("stats", extra={**self.counters.as_dict(), "kernel_drops": kernel, "queues": queue_figures(mqueue.queues)})


def queue_figures(queues: mqueue.Registry) -> dict[str, dict[str, Any]]:
    """What is to be known of each queue, by its name; oldest_age in seconds."""
    return {
        queue.name: {
            "size": len(queue),
            "added": queue.added,
            "fetched": queue.fetched,
            "dropped": queue.dropped,
            "oldest_age": round(queue.oldest_age(), 3),
        }
        for queue in queues
    }


def run(config: Config) -> None:
    """Run a proxy until it is told to stop, on uvloop where there is one."""
    try:
        import uvloop
    except ImportError:
        log.info("uvloop is not installed: asyncio's own loop is used, TCP costs more on it (pip install uvloop)")
        asyncio.run(_serve(config))
    else:
        uvloop.run(_serve(config))


async def _serve(config: Config) -> None:
    await Server(config).run()


def _dbmode_in_words(mode: mqueue.DbMode) -> str:
    read = "read at start-up" if mode.loads else "not read at start-up"
    written = "written at shutdown" if mode.saves else "not written at shutdown"
    return f"dbmode {mode.name.lower()}: {read}, {written}"


def _modified(file: Path) -> int:
    """When the file was changed last, in nanoseconds; 0 while it is not there, as editors replace it."""
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return 0
