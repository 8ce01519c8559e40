"""The RPC methods of Kamailio's mqueue module as plain functions; a refusal is an RpcError with Kamailio's code and words."""

from __future__ import annotations

from typing import TypedDict

from mqueue.errors import RpcError
from mqueue.registry import Registry


class Size(TypedDict):
    """One queue's name and number of items."""

    name: str
    size: int


class Pair(TypedDict):
    """One fetched item."""

    key: str
    val: str


def get_size(registry: Registry, name: str | None) -> Size:
    """mqueue.get_size: RpcError 400 without a name, 404 when there is no such queue."""
    if name is None:
        raise RpcError(400, "No queue name")
    if not name:
        raise RpcError(400, "Invalid queue name")
    queue = registry.get(name)
    if queue is None:
        raise RpcError(404, "No such queue")
    return {"name": name, "size": len(queue)}


def get_sizes(registry: Registry) -> list[Size]:
    """mqueue.get_sizes: every queue, the one defined last first, as Kamailio lists them."""
    return [{"name": queue.name, "size": len(queue)} for queue in reversed(list(registry))]


def fetch(registry: Registry, name: str | None) -> Pair:
    """mqueue.fetch: RpcError 500 for a wrong name, as in Kamailio, and 404 for an empty queue."""
    if name is None:
        raise RpcError(500, "No queue name")
    if not name:
        raise RpcError(500, "Invalid queue name")
    queue = registry.get(name)
    if queue is None:
        raise RpcError(500, "No such queue")
    item = queue.fetch()
    if item is None:
        raise RpcError(404, "Empty queue")
    return {"key": item.key, "val": item.value}
