"""Route files: what they declare, and every mistake in them with file, line and remedy."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

import mqueue
from proxy.errors import ScriptError
from proxy.loader import load
from proxy.script import Script, current

HEAD = "from mqueue import mq_add, mq_fetch, mqk\nfrom proxy import Request, modparam, route, timer\n"
ROUTE = "@route.request()\ndef accept(request: Request) -> None:\n    request.reply(200)\n"


@pytest.fixture(autouse=True)
def no_queues() -> Iterator[None]:
    """Queues and the import path are of the process: none are left over."""
    mqueue.queues.clear()
    path = list(sys.path)
    yield
    sys.path[:] = path
    mqueue.queues.clear()


def script_of(folder: Path, source: str) -> Script:
    file = folder / "routes.py"
    file.write_text(source)
    return load(file)


def problems_of(folder: Path, source: str) -> list[str]:
    """The problems of a route file, its folder left out."""
    with pytest.raises(ScriptError) as caught:
        script_of(folder, source)
    assert str(caught.value).splitlines() == [str(problem) for problem in caught.value.problems]
    return [str(problem).replace(f"{folder}/", "") for problem in caught.value.problems]


def test_what_a_file_declares(tmp_path: Path) -> None:
    before = current()
    script = script_of(
        tmp_path,
        HEAD
        + dedent(
            """
            modparam("mqueue", "mqueue", "name=q;size=20")
            modparam("rtimer", "timer", "name=ta;interval=2")
            modparam("rtimer", "exec", "timer=ta;route=tick")

            @route.request("INVITE", "BYE")
            async def calls(request):
                request.reply(200)

            @route.request()
            def others(request):
                mq_add("q", request.call_id, request.expand("$fU $mq_size(q)"))
                request.reply(200)

            @timer(interval=0.5)
            async def drain():
                pass

            @timer(1, name="slow")
            def sweep():
                pass

            def tick(event):
                pass
            """
        ),
    )
    assert current() is before
    assert list(script.routes) == ["INVITE", "BYE"]
    assert (script.routes["INVITE"].name, script.routes["INVITE"].is_async, script.routes["INVITE"].where.line) == ("calls", True, 8)
    assert script.default_route is not None
    assert (script.default_route.name, script.default_route.is_async) == ("others", False)
    assert [(timer.name, timer.interval, timer.is_async, timer.argument) for timer in script.timers] == [
        ("drain", 0.5, True, None),
        ("slow", 1.0, False, None),
        ("ta:tick", 2.0, False, "rtimer"),
    ]
    assert list(script.mqueue.definitions) == ["q"]
    assert str(script.default_route.where) == f"{tmp_path}/routes.py:12"


# One mistake each, in line 3 unless the source says otherwise, and what the user is told.
MISTAKES = [
    ('modparam("nosuch", "x", 1)', "routes.py:3: modparam: there is no module 'nosuch' here; there are mqueue, rtimer"),
    (
        'modparam("mqueue", "nosuch", 1)',
        'routes.py:3: modparam("mqueue", "nosuch"): module mqueue has no parameter \'nosuch\'; it has mqueue',
    ),
    ('modparam("mqueue", "mqueue", "size=20")', 'routes.py:3: modparam("mqueue", "mqueue"): '),
    ('modparam("mqueue", "mqueue", "name=q;size=x")', 'routes.py:3: modparam("mqueue", "mqueue"): '),
    ('modparam("mqueue", "mqueue", "name=q;color=red")', 'routes.py:3: modparam("mqueue", "mqueue"): '),
    (
        'modparam("mqueue", "mqueue", "name=q")\nmodparam("mqueue", "mqueue", "name=q")',
        'routes.py:4: modparam("mqueue", "mqueue"): mqueue redefined: q',
    ),
    ('modparam("mqueue", "db_url", None)', 'routes.py:3: modparam("mqueue", "db_url"): '),
    ('modparam("mqueue", "db_url", "nonsense")', "routes.py:3: "),
    (
        'modparam("rtimer", "nosuch", "x")',
        'routes.py:3: modparam("rtimer", "nosuch"): module rtimer has no parameter \'nosuch\'; it has timer, exec',
    ),
    ('modparam("rtimer", "exec", "timer=ta;route=r")', 'routes.py:3: modparam("rtimer", "exec"): there is no timer \'ta\'; there is none'),
    ("@route.request\ndef f(request): pass", "routes.py:3: route f: <function f"),
    ("@timer\ndef f(): pass", "routes.py:3: timer f: write @timer(interval=SECONDS) with brackets"),
    ("@timer(interval=0)\ndef f(): pass", "routes.py:3: timer f: interval=0; allowed is a number of seconds > 0"),
    ("@timer(interval=-1)\ndef f(): pass", "routes.py:3: timer f: interval=-1; allowed is a number of seconds > 0"),
    ("@timer(interval='1')\ndef f(): pass", "routes.py:3: timer f: interval='1'; allowed is a number of seconds > 0"),
    ("@timer(interval=True)\ndef f(): pass", "routes.py:3: timer f: interval=True; allowed is a number of seconds > 0"),
    ("@timer(interval=float('nan'))\ndef f(): pass", "routes.py:3: timer f: interval=nan; allowed is a number of seconds > 0"),
    ("@timer(interval=float('inf'))\ndef f(): pass", "routes.py:3: timer f: interval=inf; allowed is a number of seconds > 0"),
    ("timer(interval=1)(5)", "routes.py:3: timer timer: 5 is no function; put @timer(...) above a def"),
    ("route.request('INVITE')(5)", "routes.py:3: route route: 5 is no function; put @route.request(...) above a def"),
    ("@route.request('IN VITE')\ndef f(request): pass", "routes.py:3: route f: 'IN VITE' is no SIP method"),
    (
        "@route.request('Message')\ndef f(request): pass",
        "routes.py:3: route f: 'Message' is another method than 'MESSAGE', capitals count (RFC 3261 section 25.1); write 'MESSAGE'",
    ),
    ("@route.request('')\ndef f(request): pass", "routes.py:3: route f: '' is no SIP method"),
    ("@route.request(5)\ndef f(request): pass", "routes.py:3: route f: 5 is no SIP method"),
    ("@route.request()\ndef f(request): pass", "routes.py:5: route accept: every other method has a route already, f at routes.py:3"),
    (
        "@route.request('BYE')\ndef f(request): pass\n@route.request('BYE')\ndef g(request): pass",
        "routes.py:5: route g: BYE has a route already, f at routes.py:3",
    ),
    (
        "def f():\n    mq_add('nope', 'a', 'b')",
        'routes.py:4: mq_add: no queue \'nope\' (defined: none); add modparam("mqueue", "mqueue", "name=nope")',
    ),
    ("def f():\n    import mqueue\n    mqueue.mq_fetch('nope')", "routes.py:5: mq_fetch: no queue 'nope' (defined: none)"),
    ("Q = 'nope'\ndef f():\n    mqk(Q)", "routes.py:5: mqk: no queue 'nope' (defined: none)"),
    ("def f(r):\n    r.pv('$mqk(nope)')", "routes.py:4: $mqk(nope): no queue 'nope' (defined: none)"),
    ("def f(r):\n    r.expand('x $mq_size(nope)')", "routes.py:4: x $mq_size(nope): no queue 'nope' (defined: none)"),
    ("def f(r):\n    r.pv('$fX')", "routes.py:4: there is no pseudo-variable $fX; did you mean "),
    ("def f(r):\n    r.pv('fU')", "routes.py:4: 'fU' is no pseudo-variable: write $name"),
    ("def f(r):\n    r.expand('costs 5 $')", "routes.py:4: a $ at 8 in 'costs 5 $' starts no pseudo-variable; write $$"),
    ("x = = 1", "routes.py:3: SyntaxError: invalid syntax"),
    ("import no_such_module_here", "routes.py:3: ModuleNotFoundError: No module named 'no_such_module_here'"),
    ("from proxy import nothing", "routes.py:3: ImportError: cannot import name 'nothing'"),
    ("1 / 0", "routes.py:3: ZeroDivisionError: division by zero"),
    ("def f():\n    raise ValueError('deep')\nf()", "routes.py:4: ValueError: deep"),
    ("import sys\nsys.exit(3)", "routes.py:4: SystemExit: 3"),
    ("import beside", "beside.py:2: RuntimeError: from the neighbour"),
    ("import beside_broken", "beside_broken.py:1: SyntaxError: "),
]


@pytest.mark.parametrize(("source", "problem"), MISTAKES)
def test_a_mistake_is_told_with_file_line_and_remedy(tmp_path: Path, source: str, problem: str) -> None:
    (tmp_path / "beside.py").write_text("\nraise RuntimeError('from the neighbour')\n")
    (tmp_path / "beside_broken.py").write_text("def (:\n")
    found = problems_of(tmp_path, f"{HEAD}{source}\n{ROUTE}")
    assert found[0].replace(f"{tmp_path}/", "").startswith(problem), found
    assert len(found) == 1


def test_decorators_without_brackets_are_told(tmp_path: Path) -> None:
    found = problems_of(tmp_path, f"{HEAD}@route.request\ndef f(request): pass\n")
    assert "write @route.request() with brackets" in found[-1]


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    found = problems_of(
        tmp_path,
        HEAD
        + dedent(
            """\
            modparam("mqueue", "mqueue", "name=q;size=many")
            modparam("rtimer", "timer", "interval=1")
            @timer(interval=0)
            def f():
                mq_fetch("unknown")
            @route.request("A B")
            def g(request):
                request.pv("$nothinglikeit")
            """
        ),
    )
    assert "no route: put @route.request(...) above a function" in found[0]
    assert [line.partition(":")[2].partition(":")[0] for line in found[1:]] == ["3", "4", "5", "7", "8", "10"]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ScriptError, match=r"nowhere\.py.*: there is no such route file; try routes/demo\.py"):
        load(tmp_path / "nowhere.py")


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "routes.py").write_bytes(b"# \xff\n")
    with pytest.raises(ScriptError, match=r"routes\.py.*: cannot be read: "):
        load(tmp_path / "routes.py")
    with pytest.raises(ScriptError, match="cannot be read"):
        load(tmp_path)


def test_a_dbmode_wants_a_db_url(tmp_path: Path) -> None:
    found = problems_of(tmp_path, f'{HEAD}modparam("mqueue", "mqueue", "name=q;dbmode=1")\n{ROUTE}')
    assert len(found) == 1
    assert "queue q has a dbmode but there is no db_url" in found[0]
    assert 'modparam("mqueue", "db_url", "sqlite:///FILE")' in found[0]


def test_a_queue_of_the_process_is_known(tmp_path: Path) -> None:
    mqueue.define("name=made_elsewhere")
    script_of(tmp_path, f"{HEAD}{ROUTE}    mq_add('made_elsewhere', 'a', 'b')\n")


def test_a_reload_sees_what_changed_beside_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also at once, and with a change of the same length: compiled files tell a change by second and size alone."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    source = f"from beside import REASON\n{HEAD}{ROUTE.replace('200', 'REASON')}"
    reasons = []
    for value in (200, 404, 500):
        (tmp_path / "beside.py").write_text(f"REASON = {value}\n")
        route = script_of(tmp_path, source).default_route
        assert route is not None
        reasons.append(route.function.__globals__["REASON"])
    assert reasons == [200, 404, 500]


def test_a_neighbour_that_appears_later_is_found(tmp_path: Path) -> None:
    source = f"import later\n{HEAD}{ROUTE}"
    assert "No module named 'later'" in problems_of(tmp_path, source)[0]
    (tmp_path / "later.py").write_text("")
    script_of(tmp_path, source)


def test_a_broken_file_leaves_nothing_behind(tmp_path: Path) -> None:
    before = current()
    problems_of(tmp_path, f"{HEAD}{ROUTE}1 / 0\n")
    assert current() is before
    assert script_of(tmp_path, f"{HEAD}{ROUTE}").default_route is not None


def test_an_object_with_an_async_call_is_awaited(tmp_path: Path) -> None:
    file = tmp_path / "route.py"
    file.write_text(
        "from proxy import Request, route\n\n\nclass Answer:\n    async def __call__(self, request: Request) -> None:\n"
        "        request.reply(200)\n\n\nroute.request()(Answer())\n"
    )
    assert [callback.is_async for callback in load(file).all_routes()] == [True]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("@route.request()\ndef f() -> None: ...\n", "called with one argument, the Request"),
        ("@route.request()\ndef f(a, b) -> None: ...\n", "called with one argument, the Request"),
        ("@route.request()\ndef f(request):\n    yield\n", "it yields"),
        ("@timer(interval=1)\ndef f(a) -> None: ...\n", "called with no arguments"),
        ("@timer(interval=1e-300)\ndef f() -> None: ...\n", "a microsecond at least"),
    ],
)
def test_a_function_that_cannot_be_called_is_a_mistake(tmp_path: Path, source: str, words: str) -> None:
    (tmp_path / "routes.py").write_text(f"from proxy import route, timer\n\n{source}")
    with pytest.raises(ScriptError, match=rf"routes\.py:3: .*{words}"):
        load(tmp_path / "routes.py")


def test_a_byte_order_mark_and_an_encoding_are_read_as_python_does(tmp_path: Path) -> None:
    text = "# -*- coding: latin-1 -*-\nfrom proxy import route\nROOM = 'caf\xe9'\n\n@route.request()\ndef f(request): ...\n"
    for name, encoded in (("a.py", text.encode("latin-1")), ("b.py", text.replace("latin-1", "utf-8").encode("utf-8-sig"))):
        (tmp_path / name).write_bytes(encoded)
        assert load(tmp_path / name).default_route is not None


def test_a_queue_defined_in_python_is_no_obstacle_to_a_reload(tmp_path: Path) -> None:
    file = tmp_path / "routes.py"
    file.write_text(
        "import mqueue\nfrom proxy import route\nmqueue.define('name=typed')\n\n"
        "@route.request()\ndef f(request):\n    mqueue.mq_add('typed', 'k', 'v')\n"
    )
    try:
        assert load(file).default_route is not None
        assert load(file).default_route is not None
    finally:
        mqueue.queues.clear()
