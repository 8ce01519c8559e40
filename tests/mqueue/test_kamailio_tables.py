"""One table, two servers: what Kamailio saved is loaded here, what was saved here is loaded by Kamailio, in every dbmode."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from mqueue import DbModeNumbers, Definition
from tests.mqueue import kamailio, sqlite_file
from tests.mqueue.life import Life, Pairs, loaded, saved

TEXTS = ["plain", "größe", "日本\U0001f600", 'it\'s "quoted" %s; DROP', "tab\tand space ", "\udcff\udcfe", "gr\udcf6\udcdfe"]
COPY = """while (mq_fetch("q")) { mq_add("copy", "$mqk(q)", "$mqv(q)"); }"""
BOTH, SAVES = "name=q;dbmode=1", "name=copy;dbmode=3"  # Kamailio's numbers: 3 saves and does not load


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "shared.db"


def sizes(log: str) -> list[str]:
    return re.findall(r"SIZE (\S+)", log)


def test_kamailio_loads_what_was_saved_here(file: Path, tmp_path: Path) -> None:
    pairs = [(text, f"value of {text}") for text in TEXTS] + [("long", "x" * 4096), ("k" * 64, "v")]
    saved(file, pairs)
    sqlite_file.create(file, "copy")
    kamailio.run(tmp_path, file, [BOTH, SAVES], COPY)
    assert sqlite_file.rows(file, "copy") == pairs
    assert sqlite_file.rows(file, "q") == []


def test_what_kamailio_saved_is_loaded_here(file: Path, tmp_path: Path) -> None:
    pairs = [(text, f"value of {text}") for text in TEXTS]
    sqlite_file.create(
        file, "q", [(key.encode("utf-8", "surrogateescape"), value.encode("utf-8", "surrogateescape")) for key, value in pairs]
    )
    sqlite_file.create(file, "copy")
    kamailio.run(tmp_path, file, [BOTH, SAVES], f'{COPY} mq_add("copy", "last", "one");')
    assert loaded(file, "name=copy;dbmode=both") == [*pairs, ("last", "one")]


def test_a_queue_goes_back_and_forth(file: Path, tmp_path: Path) -> None:
    saved(file, [("ours", "1")])
    for _ in range(2):
        kamailio.run(tmp_path, file, [BOTH], 'mq_add("q", "kamailio", "2");')
        saved(file, [("ours", "3")])
    assert loaded(file) == [("ours", "1"), ("kamailio", "2"), ("ours", "3"), ("kamailio", "2"), ("ours", "3")]


class TestDbmodeNumbers:
    """A table with an old row; each server starts, adds a new item and stops."""

    def kamailio(self, file: Path, directory: Path, number: int) -> tuple[int, list[str]]:
        """What Kamailio found on its queue at the start, and the keys that it left in the table."""
        sqlite_file.create(file, "q", [("old", "1")])
        statements = 'xlog("L_ERR", "SIZE $mq_size(q)\\n"); mq_add("q", "new", "2");'
        log = kamailio.run(directory, file, [f"name=q;dbmode={number}"], statements)
        return int(sizes(log)[0]), self.keys(file)

    def ours(self, file: Path, number: int, numbers: DbModeNumbers) -> tuple[int, list[str]]:
        """The same for this package."""
        sqlite_file.create(file, "q", [("old", "1")])

        async def main() -> int:
            async with Life(file, str(Definition.parse(f"name=q;dbmode={number}", numbers))) as life:
                await life.load()
                found = len(life.queued())
                life.add(("new", "2"))
                await life.save()
                return found

        return asyncio.run(main()), self.keys(file)

    def keys(self, file: Path) -> list[str]:
        return [str(key) for key, _ in sqlite_file.rows(file, "q")]

    @pytest.mark.parametrize("number", [0, 1, 2])
    def test_kamailios_reading_does_what_kamailio_does(self, tmp_path: Path, number: int) -> None:
        theirs = self.kamailio(tmp_path / "theirs.db", tmp_path, number)
        assert self.ours(tmp_path / "ours.db", number, DbModeNumbers.KAMAILIO) == theirs

    def test_save_only_replaces_rows_where_kamailio_lets_them_pile_up(self, tmp_path: Path) -> None:
        assert self.kamailio(tmp_path / "theirs.db", tmp_path, 3) == (0, ["old", "new"])
        assert self.ours(tmp_path / "ours.db", 3, DbModeNumbers.KAMAILIO) == (0, ["new"])

    @pytest.mark.parametrize(("number", "kamailios"), [(0, 0), (1, 1), (2, 3), (3, 2)])
    def test_the_documented_reading_has_2_and_3_the_other_way_round(self, tmp_path: Path, number: int, kamailios: int) -> None:
        documented = self.ours(tmp_path / "documented.db", number, DbModeNumbers.DOCUMENTED)
        assert documented == self.ours(tmp_path / "kamailio.db", kamailios, DbModeNumbers.KAMAILIO)


def test_size_and_addmode_apply_to_what_is_loaded_on_both(file: Path, tmp_path: Path) -> None:
    rows: Pairs = [("a", "1"), ("b", "2"), ("a", "3"), ("c", "4")]
    for definition in ("size=2", "addmode=1", "addmode=2"):
        path = tmp_path / f"{definition}.db"
        sqlite_file.create(path, "q", rows)
        sqlite_file.create(path, "copy")
        ours = loaded(path, f"name=q;dbmode=1;{definition}")
        kamailio.run(tmp_path, path, [f"{BOTH};{definition}", SAVES], COPY)
        assert sqlite_file.rows(path, "copy") == ours
