"""Reads a route file into a Script: everything that is wrong with it, at once, with file and line."""

from __future__ import annotations

import contextlib
import importlib
import sys
import tokenize
import traceback
from pathlib import Path
from types import ModuleType

import mqueue
from mqueue.db_url import check_db_url
from proxy import rtimer
from proxy.errors import ScriptError
from proxy.inspection import inspect_source
from proxy.script import Script, Where, make_current

MODULE_NAME = "mqproxy_route_file"


def load(path: Path) -> Script:
    """The script in `path`. ScriptError carries every problem."""
    script = Script(file=str(path))
    _forget_neighbours(path.resolve().parent)
    before = make_current(script)
    mqueue.queues.reopen()
    try:
        source = _source(path)
        module = _execute(source, path)
    except FileNotFoundError:
        script.problem(Where(str(path), 0), "there is no such route file; try routes/demo.py")
    except (OSError, UnicodeDecodeError) as error:
        script.problem(Where(str(path), 0), f"cannot be read: {error}")
    except SyntaxError as error:
        script.problem(Where(error.filename or str(path), error.lineno or 0), f"SyntaxError: {error.msg}")
    except (Exception, SystemExit) as error:  # whatever the user's file raises
        script.problem(_raised_at(error, path), f"{type(error).__name__}: {error}")
    else:
        rtimer.resolve(script, vars(module))
        _check(script, source, module)
    finally:
        make_current(before)
    if script.problems:
        raise ScriptError(sorted(script.problems, key=lambda problem: problem.where.line))
    return script


def _source(path: Path) -> str:
    """The text of the file, read as Python does: with a byte order mark, or a line that names the encoding."""
    try:
        with tokenize.open(path) as file:
            return file.read()
    except SyntaxError as error:
        raise OSError(f"{error.msg}; save it as UTF-8") from None


def _execute(source: str, path: Path) -> ModuleType:
    module = ModuleType(MODULE_NAME)
    module.__file__ = str(path)
    code = compile(source, str(path), "exec")
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    sys.modules[MODULE_NAME] = module
    exec(code, vars(module))  # noqa: S102 -- running the user's file is the purpose
    return module


def _forget_neighbours(folder: Path) -> None:
    """Let modules beside the route file be imported anew, so that a reload sees their changes."""
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file and Path(file).parent == folder and name != "__main__":
            del sys.modules[name]
            _forget_compiled(getattr(module, "__cached__", None))
    importlib.invalidate_caches()  # files may have appeared since


def _forget_compiled(file: str | None) -> None:
    """Python tells a change by the second and the size of a file: two edits within a second would look like one."""
    if file:
        with contextlib.suppress(OSError):
            Path(file).unlink()


def _check(script: Script, source: str, module: ModuleType) -> None:
    queues = frozenset(script.mqueue.definitions) | frozenset(queue.name for queue in mqueue.queues)
    script.problems += inspect_source(source, script.file, vars(module), queues)
    if not script.routes and not script.default_route:
        script.problem(Where(script.file, 0), "no route: put @route.request(...) above a function that takes a Request")
    _check_database(script)


def _check_database(script: Script) -> None:
    needs_db = [definition.name for definition in script.mqueue.definitions.values() if definition.dbmode]
    if script.mqueue.db_url is not None:
        try:
            check_db_url(script.mqueue.db_url)
        except mqueue.PersistenceError as error:
            script.problem(script.db_url_at or Where(script.file, 0), str(error))
    elif needs_db:
        remedy = 'add modparam("mqueue", "db_url", "sqlite:///FILE")'
        script.problem(Where(script.file, 0), f"queue {needs_db[0]} has a dbmode but there is no db_url: {remedy}")


def _raised_at(error: BaseException, path: Path) -> Where:
    """The innermost line in the route file or beside it: where the user can mend it."""
    folder = str(path.resolve().parent)
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename == str(path) or str(Path(frame.filename).resolve().parent) == folder]
    return Where(own[-1].filename, own[-1].lineno or 0) if own else Where(str(path), 0)
