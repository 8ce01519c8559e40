"""The engines that keep items in memory, by the contract and in what is theirs alone."""

from __future__ import annotations

import tracemalloc

import pytest

from mqueue import AddMode, Definition, Engine
from mqueue.engines.memory import memory_engine
from tests.mqueue.engine_contract import EngineContract


class TestMemoryEngines(EngineContract):
    def engine(self, definition: Definition) -> Engine:
        return memory_engine(definition)


@pytest.mark.parametrize("others", [0, 3])
def test_a_key_replaced_again_and_again_does_not_grow_the_queue(others: int) -> None:
    engine = memory_engine(Definition("q", addmode=AddMode.UNIQUE_NEWEST))
    for number in range(others):
        engine.add(f"other{number}", "v", 0.0)
    tracemalloc.start()
    for number in range(100_000):
        engine.add("key", "value", float(number))
    grown, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(engine) == others + 1
    assert peak < 50_000, f"{grown} bytes, {peak} at the most, for one key"


@pytest.mark.parametrize("addmode", AddMode)
def test_an_item_takes_450_bytes_at_most(addmode: AddMode) -> None:
    engine = memory_engine(Definition("q", addmode=addmode))
    count = 50_000
    tracemalloc.start()
    for number in range(count):
        engine.add(f"{number:032d}", f"{number:0200d}", float(number))
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert used / count <= 450
