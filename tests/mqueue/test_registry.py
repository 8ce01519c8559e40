"""The registry against Kamailio 5.6.3: every row of "Functions" and of "Observed" in the reference that a registry can show."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from concurrent.futures import ThreadPoolExecutor

import pytest

import mqueue
from mqueue import Definition, DefinitionError, Registry


@pytest.fixture
def registry() -> Registry:
    """Queues of each kind, and a context in which nothing is fetched."""
    registry = Registry()
    for text in ("name=q", "name=three;size=3", "name=oldest;addmode=1", "name=newest;addmode=2"):
        registry.define(text)
    return registry


def drained(registry: Registry, name: str) -> list[tuple[str | None, str | None]]:
    found = []
    while registry.mq_fetch(name) == 1:
        found.append((registry.mqk(name), registry.mqv(name)))
    return found


@pytest.mark.parametrize(
    ("call", "code", "logged"),
    [("mq_add", -1, "mq_add: "), ("mq_fetch", -1, "mq_fetch: "), ("mq_size", -1, "mq_size: "), ("mq_pv_free", 1, "")],
)
def test_an_unknown_queue(registry: Registry, caplog: pytest.LogCaptureFixture, call: str, code: int, logged: str) -> None:
    with caplog.at_level(logging.ERROR, "mqueue"):
        assert getattr(registry, call)("nope", *(("k", "v") if call == "mq_add" else ())) == code
    assert caplog.messages == ([f"{logged}no queue 'nope'; defined are q, three, oldest, newest"] if logged else [])
    assert (registry.mqk("nope"), registry.mqv("nope"), registry.fetched("nope")) == (None, None, None)


def test_an_empty_queue(registry: Registry) -> None:
    assert (registry.mq_fetch("q"), registry.mq_size("q"), registry.mq_pv_free("q")) == (-2, 0, 1)


def test_add_fetch_and_read(registry: Registry) -> None:
    assert (registry.mq_add("q", "key", "value"), registry.mq_size("q")) == (1, 1)
    assert (registry.mqk("q"), registry.mqv("q")) == (None, None)
    assert (registry.mq_fetch("q"), registry.mqk("q"), registry.mqv("q"), registry.mq_size("q")) == (1, "key", "value", 0)


def test_five_adds_to_a_queue_of_size_three(registry: Registry) -> None:
    results = [(registry.mq_add("three", str(number), "v"), registry.mq_size("three")) for number in range(1, 6)]
    assert results == [(1, 1), (1, 2), (1, 3), (1, 3), (1, 3)]
    assert (registry.mq_fetch("three"), registry.mqk("three")) == (1, "3")


def test_nothing_is_fetched_after_mq_pv_free(registry: Registry) -> None:
    registry.mq_add("q", "k", "v")
    registry.mq_fetch("q")
    assert registry.mq_pv_free("q") == 1
    assert (registry.mqk("q"), registry.mqv("q")) == (None, None)


def test_nothing_is_fetched_after_a_fetch_that_found_nothing(registry: Registry) -> None:
    registry.mq_add("q", "k", "v")
    assert (registry.mq_fetch("q"), registry.mqk("q")) == (1, "k")
    assert (registry.mq_fetch("q"), registry.mqk("q"), registry.mqv("q")) == (-2, None, None)


def test_queues_keep_their_fetched_items_apart(registry: Registry) -> None:
    for name in ("q", "three"):
        registry.mq_add(name, name, "v")
        registry.mq_fetch(name)
    assert (registry.mq_pv_free("q"), registry.mqk("q"), registry.mqk("three")) == (1, None, "three")


def test_empty_strings_are_strings(registry: Registry) -> None:
    assert (registry.mq_add("q", "", ""), registry.mq_fetch("q"), registry.mqk("q"), registry.mqv("q")) == (1, 1, "", "")


@pytest.mark.parametrize(("name", "expected"), [("oldest", [("a", "1"), ("b", "2")]), ("newest", [("b", "2"), ("a", "3")])])
def test_unique_keys(registry: Registry, name: str, expected: list[tuple[str, str]]) -> None:
    assert [registry.mq_add(name, key, value) for key, value in (("a", "1"), ("b", "2"), ("a", "3"))] == [1, 1, 1]
    assert registry.mq_size(name) == 2
    assert drained(registry, name) == expected


def test_other_than_strings_raise(registry: Registry) -> None:
    with pytest.raises(TypeError):
        registry.mq_add("q", "k", 5)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        registry.mq_add("q", "k")  # type: ignore[call-arg]
    assert registry.mq_size("q") == 0


@pytest.mark.parametrize("text", ["größe", "日本\U0001f600", "a\0b", "\udcff\udcfe", "line\r\nline"], ids=ascii)
def test_strings_come_out_unchanged(registry: Registry, text: str) -> None:
    registry.mq_add("q", text, text)
    assert drained(registry, "q") == [(text, text)]


class TestTheFetchedItemIsLocal:
    def test_to_the_task_with_two_consumers_of_one_queue(self, registry: Registry) -> None:
        async def consume(turn: asyncio.Barrier) -> list[str]:
            seen = []
            while registry.mq_fetch("q") == 1:
                fetched = registry.mqk("q")
                await turn.wait()  # the other one has fetched as well
                assert (registry.mqk("q"), registry.mqv("q")) == (fetched, f"value of {fetched}")
                seen.append(registry.mqk("q") or "")
                await turn.wait()
            return seen

        async def main() -> tuple[list[str], list[str]]:
            turn = asyncio.Barrier(2)
            return await asyncio.gather(consume(turn), consume(turn))

        for number in range(10):
            registry.mq_add("q", str(number), f"value of {number}")
        first, second = asyncio.run(main())
        assert len(first) == len(second) == 5
        assert sorted(first + second) == [str(number) for number in range(10)]

    def test_so_that_freeing_it_is_nobody_elses_matter(self, registry: Registry) -> None:
        async def free() -> None:
            assert registry.mqk("q") == "a"  # what was fetched before the task began is there
            registry.mq_pv_free("q")
            assert registry.mqk("q") is None

        async def main() -> str | None:
            registry.mq_add("q", "a", "1")
            registry.mq_fetch("q")
            await asyncio.create_task(free())
            return registry.mqk("q")

        assert asyncio.run(main()) == "a"

    def test_to_the_thread(self, registry: Registry) -> None:
        def consume(_: int) -> list[tuple[str | None, str | None]]:
            return contextvars.copy_context().run(drained, registry, "q")

        for number in range(4_000):
            registry.mq_add("q", str(number), f"value of {number}")
        with ThreadPoolExecutor(4) as pool:
            taken = [pair for part in pool.map(consume, range(4)) for pair in part]
        assert sorted(taken) == sorted((str(number), f"value of {number}") for number in range(4_000))

    def test_to_the_registry(self, registry: Registry) -> None:
        other = Registry()
        other.define("name=q")
        registry.mq_add("q", "a", "1")
        registry.mq_fetch("q")
        assert other.mqk("q") is None


class TestDefinitions:
    def test_a_name_is_given_once(self, registry: Registry) -> None:
        with pytest.raises(DefinitionError, match="mqueue redefined: q"):
            registry.define(Definition("q"))

    def test_queues_are_found_by_name_in_the_order_of_their_definition(self, registry: Registry) -> None:
        assert [queue.name for queue in registry] == ["q", "three", "oldest", "newest"]
        assert len(registry) == 4
        assert "q" in registry
        assert "nope" not in registry
        assert registry["q"] is registry.get("q")
        assert registry.get("nope") is None
        with pytest.raises(KeyError):
            registry["nope"]

    def test_clear_forgets_all(self, registry: Registry) -> None:
        registry.mq_add("q", "a", "1")
        registry.mq_fetch("q")
        registry.clear()
        registry.define("name=q")
        assert (len(registry), registry.mq_size("q"), registry.mqk("q")) == (1, 0, None)


def test_the_modules_functions_are_those_of_its_registry() -> None:
    mqueue.define("name=of the module")
    try:
        assert mqueue.mq_add("of the module", "k", "v") == 1
        assert (mqueue.mq_size("of the module"), mqueue.mq_fetch("of the module")) == (1, 1)
        assert (mqueue.mqk("of the module"), mqueue.mqv("of the module")) == ("k", "v")
        assert mqueue.mq_pv_free("of the module") == 1
    finally:
        mqueue.queues.clear()


def test_a_reopened_queue_is_defined_once_more_and_keeps_its_items() -> None:
    registry = Registry()
    registry.define("name=q")
    registry.mq_add("q", "a", "1")
    registry.mq_add("q", "b", "2")
    registry.reopen()
    queue = registry.define("name=q;size=1")
    assert [item.key for item in queue.items()] == ["b"]
    with pytest.raises(DefinitionError, match="mqueue redefined: q"):
        registry.define("name=q")
