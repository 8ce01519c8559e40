"""modparam("mqueue", NAME, VALUE): what each parameter sets, and what is refused."""

from __future__ import annotations

import pytest

from mqueue import AddMode, DbMode, Definition, DefinitionError, Parameters, Registry


def gathered(*parameters: tuple[str, str | int]) -> Parameters:
    result = Parameters()
    for name, value in parameters:
        result.set(name, value)
    return result


def test_mqueue_defines_a_queue_each_time() -> None:
    parameters = gathered(("mqueue", "name=a;size=2"), ("mqueue", "name=b"))
    assert list(parameters.definitions.values()) == [Definition("a", size=2), Definition("b")]


def test_mqueue_name_takes_the_defaults_that_stand_before_it() -> None:
    parameters = gathered(("mqueue_name", "a"), ("mqueue_size", 5), ("mqueue_addmode", "1"), ("mqueue_name", "b"), ("mqueue", "name=c"))
    assert list(parameters.definitions.values()) == [Definition("a"), Definition("b", 5, addmode=AddMode.UNIQUE_OLDEST), Definition("c")]


def test_where_queues_are_kept() -> None:
    parameters = gathered(("db_url", " sqlite:///q.db "), ("recovery_dir", "/var/tmp"))
    assert (parameters.db_url, parameters.recovery_dir) == ("sqlite:///q.db", "/var/tmp")
    assert gathered(("db_url", "")).db_url is None


def test_dbmode_numbers_hold_for_all_queues() -> None:
    parameters = gathered(("dbmode_numbers", "kamailio"), ("mqueue", "name=a;dbmode=2"), ("mqueue", "name=b;dbmode=3"))
    assert [definition.dbmode for definition in parameters.definitions.values()] == [DbMode.LOAD, DbMode.SAVE]


@pytest.mark.parametrize(
    ("parameters", "complaint"),
    [
        ([("mqueue", "name=a"), ("mqueue", "name=a")], "mqueue redefined: a"),
        ([("mqueue", "name=a"), ("mqueue_name", "a")], "mqueue redefined: a"),
        ([("mqueue", "name=a;foo=1")], "unknown param: foo"),
        ([("mqueue_name", " ")], "name not defined"),
        ([("mqueue_size", "abc")], "'mqueue_size=abc': allowed is a number"),
        ([("mqueue_size", "3;addmode=2")], "'mqueue_size=3;addmode=2'"),
        ([("mqueue_addmode", 7)], "'mqueue_addmode=7': allowed is 0 (append)"),
        ([("mqueue", "name=a"), ("dbmode_numbers", "kamailio")], "before the first"),
        ([("dbmode_numbers", "seed")], "documented, kamailio"),
        ([("nonsense", "1")], "has no parameter 'nonsense'; it has mqueue, mqueue_name"),
        ([("mqueue", True)], "not True"),
        ([("mqueue", None)], "not None"),
    ],
)
def test_what_is_refused(parameters: list[tuple[str, str | int]], complaint: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        gathered(*parameters)
    assert complaint in str(caught.value)


def test_apply_makes_the_queues_and_keeps_what_is_on_those_that_exist() -> None:
    registry = Registry()
    gathered(("mqueue", "name=a"), ("mqueue", "name=b")).apply(registry)
    for number in range(4):
        registry.mq_add("a", f"k{number}", "v")
    gathered(("mqueue", "name=a;size=3"), ("mqueue", "name=c")).apply(registry)
    assert [queue.name for queue in registry] == ["a", "b", "c"]
    assert [item.key for item in registry["a"].items()] == ["k1", "k2", "k3"]
    assert registry["a"].dropped == 1
