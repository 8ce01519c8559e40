"""What can go wrong with queues, as one tree.

MqueueError
├── DefinitionError      a queue's definition or a module parameter is wrong
├── PersistenceError     the database cannot be read or written
└── RpcError             an RPC method was refused; carries Kamailio's fault code
"""

from __future__ import annotations


class MqueueError(Exception):
    """Base of every error that this package raises on purpose."""


class DefinitionError(MqueueError, ValueError):
    """A definition such as ``name=q;size=x`` that names no legal queue; the message quotes it."""


class PersistenceError(MqueueError):
    """A database that cannot be read or written; the message names it."""


class RpcError(MqueueError):
    """A refused RPC call: ``code`` and ``reason`` are those of Kamailio's mqueue module."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code} {reason}")
        self.code = code
        self.reason = reason
