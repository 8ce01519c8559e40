"""The RPC methods: results and faults as Kamailio 5.6.3 gives them."""

from __future__ import annotations

import pytest

from mqueue import Registry, RpcError, rpc


@pytest.fixture
def registry() -> Registry:
    registry = Registry()
    for name in ("myq", "qaz"):
        registry.define(f"name={name}")
    registry.mq_add("myq", "k", "v")
    registry.mq_add("myq", "", "")
    return registry


def test_get_size(registry: Registry) -> None:
    assert rpc.get_size(registry, "myq") == {"name": "myq", "size": 2}


def test_get_sizes_has_the_queue_defined_last_first(registry: Registry) -> None:
    assert rpc.get_sizes(registry) == [{"name": "qaz", "size": 0}, {"name": "myq", "size": 2}]


def test_fetch_takes_items_also_empty_ones(registry: Registry) -> None:
    assert rpc.fetch(registry, "myq") == {"key": "k", "val": "v"}
    assert rpc.fetch(registry, "myq") == {"key": "", "val": ""}
    assert len(registry["myq"]) == 0


def test_fetch_leaves_the_fetched_item_of_scripts_alone(registry: Registry) -> None:
    rpc.fetch(registry, "myq")
    assert registry.mqk("myq") is None


@pytest.mark.parametrize(
    ("method", "name", "code", "reason"),
    [
        (rpc.get_size, None, 400, "No queue name"),
        (rpc.get_size, "", 400, "Invalid queue name"),
        (rpc.get_size, "nope", 404, "No such queue"),
        (rpc.fetch, None, 500, "No queue name"),
        (rpc.fetch, "", 500, "Invalid queue name"),
        (rpc.fetch, "nope", 500, "No such queue"),
        (rpc.fetch, "qaz", 404, "Empty queue"),
    ],
)
def test_refusals(registry: Registry, method: object, name: str | None, code: int, reason: str) -> None:
    assert callable(method)
    with pytest.raises(RpcError) as caught:
        method(registry, name)
    assert (caught.value.code, caught.value.reason) == (code, reason)
    assert str(caught.value) == f"{code} {reason}"
