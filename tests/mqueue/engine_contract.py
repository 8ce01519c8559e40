"""What every engine must do: subclass EngineContract, say how an engine is made, and pytest runs all of it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from mqueue import Added, AddMode, Definition, Engine, Item

UNIQUE = (AddMode.UNIQUE_OLDEST, AddMode.UNIQUE_NEWEST)
STRINGS = ["", "a\0b", "größe", "\U0001f600", "\udcff\udc80", "\ud800", "x" * 100_000]


class EngineContract:
    """The contract of `mqueue.engines.base.Engine`."""

    def engine(self, definition: Definition) -> Engine:
        """A new, empty engine for `definition`."""
        raise NotImplementedError

    def filled(self, definition: Definition, *keys: str) -> tuple[Engine, list[Added]]:
        engine = self.engine(definition)
        return engine, [engine.add(key, f"{key}{number}", float(number)) for number, key in enumerate(keys)]

    def test_items_come_out_in_the_order_of_their_adds(self) -> None:
        engine, outcomes = self.filled(Definition("q"), "a", "b", "a")
        assert outcomes == [Added.APPENDED] * 3
        assert [engine.fetch() for _ in range(4)] == [Item("a", "a0", 0.0), Item("b", "b1", 1.0), Item("a", "a2", 2.0), None]

    def test_what_is_fetched_is_an_item(self) -> None:
        engine, _ = self.filled(Definition("q"), "a", "b")
        for item in (engine.oldest(), *engine.items(), engine.fetch()):
            assert type(item) is Item

    @pytest.mark.parametrize("addmode", AddMode)
    def test_the_oldest_goes_when_the_queue_is_full(self, addmode: AddMode) -> None:
        engine, outcomes = self.filled(Definition("q", size=3, addmode=addmode), "a", "b", "c", "d", "e")
        assert outcomes == [Added.APPENDED] * 3 + [Added.DROPPED_OLDEST] * 2
        assert len(engine) == 3
        assert [item.key for item in engine.items()] == ["c", "d", "e"]

    @pytest.mark.parametrize("addmode", AddMode)
    def test_size_zero_has_no_limit(self, addmode: AddMode) -> None:
        engine = self.engine(Definition("q", addmode=addmode))
        assert {engine.add(str(number), "v", 0.0) for number in range(10_000)} == {Added.APPENDED}
        assert len(engine) == 10_000

    def test_addmode_1_keeps_the_oldest_item_of_a_key(self) -> None:
        engine, outcomes = self.filled(Definition("q", addmode=AddMode.UNIQUE_OLDEST), "a", "b", "a")
        assert outcomes[2] is Added.IGNORED
        assert [(item.key, item.value) for item in engine.items()] == [("a", "a0"), ("b", "b1")]

    def test_addmode_2_keeps_the_newest_at_the_tail(self) -> None:
        engine, outcomes = self.filled(Definition("q", addmode=AddMode.UNIQUE_NEWEST), "a", "b", "a")
        assert outcomes[2] is Added.REPLACED
        assert list(engine.items()) == [Item("b", "b1", 1.0), Item("a", "a2", 2.0)]

    def test_replacing_in_a_full_queue_drops_nothing_else(self) -> None:
        engine, outcomes = self.filled(Definition("q", size=2, addmode=AddMode.UNIQUE_NEWEST), "a", "b", "a")
        assert outcomes[2] is Added.REPLACED
        assert [item.key for item in engine.items()] == ["b", "a"]

    @pytest.mark.parametrize("addmode", UNIQUE)
    def test_a_fetched_key_is_new_again(self, addmode: AddMode) -> None:
        engine, _ = self.filled(Definition("q", addmode=addmode), "a")
        assert engine.fetch() == Item("a", "a0", 0.0)
        assert engine.add("a", "again", 1.0) is Added.APPENDED
        assert engine.fetch() == Item("a", "again", 1.0)

    @pytest.mark.parametrize("addmode", AddMode)
    def test_oldest_takes_nothing(self, addmode: AddMode) -> None:
        engine, _ = self.filled(Definition("q", addmode=addmode), "a", "b", "a", "a")
        oldest = engine.oldest()
        assert oldest == engine.oldest() == next(engine.items()) == engine.fetch()

    @pytest.mark.parametrize("addmode", AddMode)
    def test_items_are_those_of_the_moment_of_the_call(self, addmode: AddMode) -> None:
        engine, _ = self.filled(Definition("q", addmode=addmode), "a", "b", "a")
        expected = list(engine.items())
        seen = engine.items()
        engine.add("c", "later", 9.0)
        engine.fetch()
        assert list(seen) == expected

    @pytest.mark.parametrize("addmode", AddMode)
    @pytest.mark.parametrize("text", STRINGS, ids=ascii)
    def test_strings_come_back_as_they_were(self, addmode: AddMode, text: str) -> None:
        engine = self.engine(Definition("q", addmode=addmode))
        engine.add(text, text, 0.0)
        assert engine.fetch() == Item(text, text, 0.0)

    @pytest.mark.parametrize("addmode", AddMode)
    def test_an_add_costs_the_same_whatever_is_queued(self, addmode: AddMode) -> None:
        long = self.engine(Definition("q", addmode=addmode))
        for number in range(100_000):
            long.add(Key(number), "v", 0.0)
        empty = self.engine(Definition("q", addmode=addmode))
        assert work(lambda: long.add(Key("new"), "v", 0.0)) == work(lambda: empty.add(Key("new"), "v", 0.0))
        # The same key again: for addmode 1 and 2 this is the one that Kamailio finds by looking at every item.
        assert work(lambda: long.add(Key("new"), "v", 0.0)) == work(lambda: empty.add(Key("new"), "v", 0.0))

    def test_agrees_with_kamailios_scan(self) -> None:
        contract = self

        class Machine(EngineMachine):
            def engine(self, definition: Definition) -> Engine:
                return contract.engine(definition)

        run_state_machine_as_test(Machine, settings=settings(max_examples=150, stateful_step_count=60, deadline=None))


class Key(str):
    """A key whose comparisons are Python code, so that `work` sees those that C code makes."""

    __slots__ = ()

    def __new__(cls, value: object) -> Key:
        return super().__new__(cls, value)

    def __eq__(self, other: object) -> bool:
        return str.__eq__(self, other)

    def __hash__(self) -> int:
        return str.__hash__(self)


def work(call: Callable[[], object]) -> int:
    """The number of bytecode instructions that `call` executes: a measure of work that does not hang on the machine."""
    executed = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal executed
        frame.f_trace_opcodes = True
        executed += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
    return executed


class EngineMachine(RuleBasedStateMachine):
    """Any calls in any order, against a list that is searched from its start as Kamailio's queue is."""

    real: Engine
    model: list[Item]
    now = 0.0

    def engine(self, definition: Definition) -> Engine:
        raise NotImplementedError

    @initialize(size=st.integers(0, 4), addmode=st.sampled_from(AddMode))
    def define(self, size: int, addmode: AddMode) -> None:
        self.size, self.addmode = size, addmode
        self.real, self.model = self.engine(Definition("q", size=size, addmode=addmode)), []

    @rule(key=st.sampled_from("abcde"), times=st.sampled_from([1, 1, 1, 100]))
    def add(self, key: str, times: int) -> None:
        for _ in range(times):
            self.now += 1
            assert self.real.add(key, f"v{self.now}", self.now) is self.expected(Item(key, f"v{self.now}", self.now))

    def expected(self, item: Item) -> Added:
        queued = next((old for old in self.model if old.key == item.key), None) if self.addmode else None
        if queued and self.addmode is AddMode.UNIQUE_OLDEST:
            return Added.IGNORED
        self.model.append(item)
        if queued:
            self.model.remove(queued)
            return Added.REPLACED
        if self.size and len(self.model) > self.size:
            del self.model[0]
            return Added.DROPPED_OLDEST
        return Added.APPENDED

    @rule()
    def fetch(self) -> None:
        assert self.real.fetch() == (self.model.pop(0) if self.model else None)

    @rule()
    def oldest(self) -> None:
        assert self.real.oldest() == (self.model[0] if self.model else None)

    @invariant()
    def same_items(self) -> None:
        assert list(self.real.items()) == self.model
        assert len(self.real) == len(self.model)
