"""Kamailio's mqueue for asyncio: named queues of (key, value) strings, bounded or not, kept in SQL over restarts.

    import mqueue

    mqueue.define("name=events;size=1000")
    mqueue.mq_add("events", "key", "value")
    item = await mqueue.queues["events"].get()

`queues` is the registry that the module's functions use. It needs no SIP and no proxy.
"""

from mqueue.definition import AddMode, DbMode, DbModeNumbers, Definition
from mqueue.engines.base import Added, Engine, Item
from mqueue.errors import DefinitionError, MqueueError, PersistenceError, RpcError
from mqueue.parameters import Parameters
from mqueue.queue import Queue
from mqueue.registry import Registry

queues = Registry()
define = queues.define
mq_add = queues.mq_add
mq_fetch = queues.mq_fetch
mq_pv_free = queues.mq_pv_free
mq_size = queues.mq_size
mqk = queues.mqk
mqv = queues.mqv

__all__ = [
    "AddMode",
    "Added",
    "DbMode",
    "DbModeNumbers",
    "Definition",
    "DefinitionError",
    "Engine",
    "Item",
    "MqueueError",
    "Parameters",
    "PersistenceError",
    "Queue",
    "Registry",
    "RpcError",
    "define",
    "mq_add",
    "mq_fetch",
    "mq_pv_free",
    "mq_size",
    "mqk",
    "mqv",
    "queues",
]
