"""db_url: how each form is read, what is refused, and that no password is ever shown."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mqueue import PersistenceError
from mqueue.db_url import DbUrl, check_db_url, without_password


@pytest.mark.parametrize(
    ("text", "url", "shown", "name"),
    [
        ("sqlite:////var/lib/q.db", "sqlite+aiosqlite:////var/lib/q.db", "sqlite:////var/lib/q.db", "q.db"),
        ("sqlite:///q.db", "sqlite+aiosqlite:///{cwd}/q.db", "sqlite:///{cwd}/q.db", "q.db"),
        ("sqlite:///data/q.db", "sqlite+aiosqlite:///{cwd}/data/q.db", "sqlite:///{cwd}/data/q.db", "q.db"),
        (" sqlite+aiosqlite:////q.db?timeout=1 ", "sqlite+aiosqlite:////q.db?timeout=1", "sqlite:////q.db", "q.db"),
        ("sqlite:////a@b:c/q.db", "sqlite+aiosqlite:////a@b:c/q.db", "sqlite:////a@b:c/q.db", "q.db"),
        ("postgres://u:p@h/d", "postgresql+asyncpg://u:p@h/d", "postgresql+asyncpg://u:***@h/d", "d"),
        ("postgresql://u:p@h:5433/d?x=1", "postgresql+asyncpg://u:p@h:5433/d?x=1", "postgresql+asyncpg://u:***@h:5433/d?x=1", "d"),
        ("mysql://u@h/d", "mysql+aiomysql://u@h/d", "mysql+aiomysql://u@h/d", "d"),
        ("mariadb://u:p@[::1]/d", "mysql+aiomysql://u:p@[::1]/d", "mysql+aiomysql://u:***@[::1]/d", "d"),
        ("oracle+oracledb://u:p@h/d", "oracle+oracledb://u:p@h/d", "oracle+oracledb://u:***@h/d", "d"),
    ],
)
def test_forms(text: str, url: str, shown: str, name: str) -> None:
    pytest.importorskip("aiomysql" if "mysql" in url else "asyncpg")
    parsed = DbUrl.parse(text)
    cwd = str(Path.cwd())
    assert (parsed.url, str(parsed), parsed.name) == (url.format(cwd=cwd), shown.format(cwd=cwd), name)


def test_a_relative_file_is_that_of_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    parsed = DbUrl.parse("sqlite:///q.db")
    monkeypatch.chdir("/")
    assert parsed.file == tmp_path / "q.db"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "it is no URL; allowed are sqlite:///FILE"),
        ("q.db", "it is no URL"),
        ("sqlite:q.db", "it is no URL"),
        ("sqlite+://x/q.db", "it is no URL"),
        ("sqlite://", "memory keeps nothing"),
        ("sqlite:///", "memory keeps nothing"),
        ("sqlite:///:memory:", "memory keeps nothing"),
        ("sqlite:///file:q?mode=memory&uri=true", "memory keeps nothing"),
        ("sqlite://q.db", "a file is sqlite:///q.db"),
        ("sqlite:////var/lib/", "no name of a file"),
        ("oracle://u:secret@h/d", "'oracle' is no known scheme; allowed are sqlite:///FILE"),
        ("text:///var/db", "'text' is no known scheme"),
        ("postgres://u:secret@h", "the name of the database is missing"),
        ("postgres://u:secret@h/", "the name of the database is missing"),
        ("postgres:u:secret@h/d", "it is no URL"),
        ("u:secret@h/d", "it is no URL"),
    ],
)
def test_what_is_refused(text: str, complaint: str) -> None:
    pytest.importorskip("asyncpg")
    with pytest.raises(PersistenceError) as caught:
        check_db_url(text)
    assert complaint in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "driver", "remedy"),
    [
        ("postgres://u:secret@h/d", "asyncpg", "pip install 'mqproxy[postgresql]'"),
        ("mysql://u:secret@h/d", "aiomysql", "pip install 'mqproxy[mysql]'"),
    ],
)
def test_a_missing_driver_is_named_with_the_extra_that_has_it(url: str, driver: str, remedy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mqueue.db_url.find_spec", lambda name: None)
    with pytest.raises(PersistenceError) as caught:
        check_db_url(url)
    assert driver in str(caught.value)
    assert remedy in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgres://u:p:q@h/d", "postgres://u:***@h/d"),
        ("postgres://u:p@q@h/d", "postgres://u:***@h/d"),
        ("postgres://u:p/q@h/d", "postgres://u:***@h/d"),
        ("postgres://u@h/d", "postgres://u@h/d"),
        ("postgres://h/d?user=u&password=p&x=1", "postgres://h/d?user=u&password=***&x=1"),
        ("anything p@h", "***@h"),
    ],
)
def test_without_password(url: str, shown: str) -> None:
    assert without_password(url) == shown


def test_repr_shows_no_password_either() -> None:
    pytest.importorskip("asyncpg")
    assert "secret" not in repr(DbUrl.parse("postgres://u:secret@h/d"))


@pytest.mark.parametrize("module", ["mqueue", "mqueue.db_url", "mqueue.recovery", "mqueue.progress"])
def test_checking_a_url_imports_neither_sqlalchemy_nor_rich(module: str) -> None:
    code = f"import sys, {module}, mqueue.db_url as u; u.check_db_url('sqlite:///x'); print({{'sqlalchemy', 'rich'}} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
