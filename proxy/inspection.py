"""Reads a route file without running it, for mistakes that would show only when a request comes: queues that nobody defined,
pseudo-variables that do not exist."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping

from proxy import pv
from proxy.errors import PseudoVariableError
from proxy.script import Problem, Where

_QUEUE_CALLS = frozenset(("mq_add", "mq_fetch", "mq_size", "mq_pv_free", "mqk", "mqv"))
_PV_CALLS: Mapping[str, Callable[[str], pv.Getter]] = {"pv": pv.compile_name, "expand": pv.compile_text}


def inspect_source(source: str, file: str, namespace: Mapping[str, object], queues: frozenset[str]) -> Iterator[Problem]:
    """The problems of a route file.

    namespace: the module's names, so that ``mq_add(QUEUE, ...)`` is seen through when QUEUE is a string of the module.
    queues: the names that are defined.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and node.args:
            argument = _text(node.args[0], namespace)
            if argument is not None:
                yield from (Problem(Where(file, node.lineno), message) for message in _problems_of(node, argument, queues))


def _problems_of(call: ast.Call, argument: str, queues: frozenset[str]) -> Iterator[str]:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name in _QUEUE_CALLS:
        yield from _unknown_queue(argument, queues, name)
    elif name in _PV_CALLS and isinstance(call.func, ast.Attribute):
        try:
            used = _PV_CALLS[name](argument).queues
        except PseudoVariableError as error:
            yield str(error)
        else:
            for queue in used:
                yield from _unknown_queue(queue, queues, argument)


def _unknown_queue(queue: str, queues: frozenset[str], user: str) -> Iterator[str]:
    if queue not in queues:
        defined = ", ".join(sorted(queues)) or "none"
        yield f'{user}: no queue {queue!r} (defined: {defined}); add modparam("mqueue", "mqueue", "name={queue}")'


def _text(node: ast.expr, namespace: Mapping[str, object]) -> str | None:
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    value = namespace.get(node.id) if isinstance(node, ast.Name) else None
    return value if isinstance(value, str) else None
