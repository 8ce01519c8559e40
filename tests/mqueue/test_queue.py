"""Queue: counters, the age of the oldest item, redefinition, threads, and `get` in every way that it can be woken or cancelled."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Thread

import pytest

from mqueue import Added, AddMode, Definition, DefinitionError, Item, Queue

WAIT = 10.0  # seconds until a test that hangs is a failure


def make(text: str = "name=q") -> Queue:
    return Queue(Definition.parse(text))


def counters(queue: Queue) -> tuple[int, int, int, int]:
    return queue.added, queue.fetched, queue.dropped, queue.ignored


def keys(queue: Queue) -> list[str]:
    return [item.key for item in queue.items()]


@pytest.mark.parametrize(
    ("definition", "outcomes", "counted"),
    [
        ("name=q", [Added.APPENDED] * 4, (4, 1, 0, 0)),
        ("name=q;size=3", [Added.APPENDED] * 3 + [Added.DROPPED_OLDEST], (4, 1, 1, 0)),
        ("name=q;addmode=1", [Added.APPENDED, Added.APPENDED, Added.IGNORED, Added.IGNORED], (2, 1, 0, 2)),
        ("name=q;addmode=2", [Added.APPENDED, Added.APPENDED, Added.REPLACED, Added.REPLACED], (4, 1, 2, 0)),
    ],
)
def test_counters(definition: str, outcomes: list[Added], counted: tuple[int, int, int, int]) -> None:
    queue = make(definition)
    assert [queue.add(key, "v") for key in "abab"] == outcomes
    queue.fetch()
    assert counters(queue) == counted
    assert queue.added - queue.fetched - queue.dropped == len(queue)


def test_a_fetch_of_nothing_counts_nothing() -> None:
    queue = make()
    assert queue.fetch() is None
    assert counters(queue) == (0, 0, 0, 0)


@pytest.mark.parametrize(("key", "value"), [("k", 5), (5, "v"), (None, "v"), (b"k", "v")])
def test_only_strings_are_taken(key: str, value: str) -> None:
    queue = make()
    with pytest.raises(TypeError, match="queue 'q': key and value are strings"):
        queue.add(key, value)
    assert len(queue) == queue.added == 0


def test_an_empty_queue_is_true() -> None:
    assert make()


def test_repr_says_what_it_is() -> None:
    assert repr(make("name=q;size=3")) == "<Queue name=q;size=3: 0 queued>"


def test_age_of_the_oldest_item() -> None:
    queue = make()
    assert queue.oldest_age() == 0.0
    queue.add("a", "1")
    first = queue.oldest()
    queue.add("b", "2")
    assert first == queue.oldest() == next(queue.items())
    assert queue.oldest_age() >= 0.0


class TestRedefine:
    def test_what_is_queued_stays_with_its_age(self) -> None:
        queue = make()
        for key in "abca":
            queue.add(key, key)
        before = list(queue.items())
        queue.redefine(Definition("q", addmode=AddMode.UNIQUE_NEWEST))
        assert list(queue.items()) == before[1:]
        assert queue.dropped == 1

    def test_a_smaller_size_drops_the_oldest(self) -> None:
        queue = make()
        for key in "abcd":
            queue.add(key, key)
        queue.redefine(Definition("q", size=2))
        assert keys(queue) == ["c", "d"]
        assert (queue.dropped, queue.definition.size) == (2, 2)


def test_threads_lose_and_double_nothing() -> None:
    queue, per_thread, threads = make(), 5_000, 4
    start = Barrier(2 * threads)

    def add(thread: int) -> None:
        start.wait()
        for number in range(per_thread):
            queue.add(f"{thread}.{number}", "v")

    def fetch(_: int) -> list[str]:
        start.wait()
        return [item.key for _ in range(per_thread) if (item := queue.fetch())]

    with ThreadPoolExecutor(2 * threads) as pool:
        adding = [pool.submit(add, thread) for thread in range(threads)]
        fetching = [pool.submit(fetch, thread) for thread in range(threads)]
        for done in adding:
            done.result()
        taken = [key for done in fetching for key in done.result()]
    left = keys(queue)
    assert sorted(taken + left) == sorted(f"{thread}.{number}" for thread in range(threads) for number in range(per_thread))
    assert counters(queue) == (threads * per_thread, len(taken), 0, 0)


class TestGet:
    def test_takes_what_is_there(self) -> None:
        queue = make()
        queue.add("a", "1")
        item = asyncio.run(queue.get())
        assert isinstance(item, Item)
        assert item[:2] == ("a", "1")

    def test_waits_for_an_add(self) -> None:
        async def main() -> str:
            queue = make()
            waiting = asyncio.create_task(queue.get())
            await asyncio.sleep(0)
            assert not waiting.done()
            queue.add("a", "1")
            return (await asyncio.wait_for(waiting, WAIT)).key

        assert asyncio.run(main()) == "a"

    def test_is_served_in_the_order_of_waiting(self) -> None:
        async def main() -> list[str]:
            queue = make()
            waiting = [asyncio.create_task(queue.get()) for _ in range(3)]
            await asyncio.sleep(0)
            for key in "abc":
                queue.add(key, "v")
            return [item.key for item in await asyncio.wait_for(asyncio.gather(*waiting), WAIT)]

        assert asyncio.run(main()) == ["a", "b", "c"]

    def test_is_woken_by_another_thread(self) -> None:
        async def main() -> str:
            queue = make()
            waiting = asyncio.create_task(queue.get())
            await asyncio.sleep(0)
            thread = Thread(target=queue.add, args=("a", "1"))
            thread.start()
            item = await asyncio.wait_for(waiting, WAIT)
            thread.join()
            return item.key

        assert asyncio.run(main()) == "a"

    def test_loops_of_several_threads_share_a_queue(self) -> None:
        queue, per_loop, loops = make(), 500, 3

        async def consume() -> list[str]:
            async with asyncio.timeout(WAIT):
                return [(await queue.get()).key for _ in range(per_loop)]

        with ThreadPoolExecutor(loops) as pool:
            consuming = [pool.submit(asyncio.run, consume()) for _ in range(loops)]
            for number in range(loops * per_loop):
                queue.add(str(number), "v")
            taken = [key for done in consuming for key in done.result()]
        assert sorted(taken, key=int) == [str(number) for number in range(loops * per_loop)]

    def test_an_item_taken_by_somebody_else_leaves_it_waiting(self) -> None:
        async def main() -> tuple[str, str]:
            queue = make()
            waiting = asyncio.create_task(queue.get())
            await asyncio.sleep(0)
            queue.add("a", "1")
            first = queue.fetch()
            await asyncio.sleep(0.01)
            assert not waiting.done()
            queue.add("b", "2")
            assert first is not None
            return first.key, (await asyncio.wait_for(waiting, WAIT)).key

        assert asyncio.run(main()) == ("a", "b")

    def test_cancelled_while_waiting_takes_nothing(self) -> None:
        async def main() -> list[str]:
            queue = make()
            waiting = asyncio.create_task(queue.get())
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            queue.add("a", "1")
            return keys(queue)

        assert asyncio.run(main()) == ["a"]

    def test_cancelled_when_woken_hands_the_wake_up_on(self) -> None:
        async def main() -> str:
            queue = make()
            cancelled, patient = asyncio.create_task(queue.get()), asyncio.create_task(queue.get())
            await asyncio.sleep(0)
            queue.add("a", "1")
            cancelled.cancel()
            item = await asyncio.wait_for(patient, WAIT)
            assert cancelled.cancelled()
            return item.key

        assert asyncio.run(main()) == "a"

    def test_a_timeout_loses_nothing(self) -> None:
        async def main() -> list[str]:
            queue = make()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(queue.get(), 0.001)
            queue.add("a", "1")
            return keys(queue)

        assert asyncio.run(main()) == ["a"]

    def test_waiters_of_closed_loops_are_passed_over_however_many(self) -> None:
        queue = make()

        async def wait() -> None:
            await queue.get()

        abandoned = asyncio.new_event_loop()
        tasks = [abandoned.create_task(wait()) for _ in range(2_000)]
        abandoned.run_until_complete(asyncio.sleep(0))
        for task in tasks:
            task._log_destroy_pending = False  # type: ignore[attr-defined]  # that is what this test is about
        abandoned.close()
        queue.add("a", "1")
        assert asyncio.run(queue.get()).key == "a"


def test_a_definition_is_checked_before_there_is_a_queue() -> None:
    with pytest.raises(DefinitionError):
        make("name=q;size=x")
