"""Recovery files: where they are, what they are called, that any string survives in them, and what becomes of damaged ones."""

from __future__ import annotations

import ast
import asyncio
import os
import random
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mqueue import PersistenceError
from mqueue.db_url import DbUrl
from mqueue.persistence import Saved
from mqueue.recovery import Recovery, RecoveryFile
from mqueue.rows import Rows
from tests.mqueue.life import THREE, Life, Pairs, loaded, saved, unsaved

UNREACHABLE = "postgresql://nobody@127.0.0.1:1/nothing"  # the port of tcpmux, which nothing listens to


@pytest.fixture
def url(file: Path) -> DbUrl:
    return DbUrl.parse(f"sqlite:///{file}")


def unreachable(*definitions: str) -> list[Saved]:
    """A program with one item in each queue whose server is down at its end."""

    async def main() -> list[Saved]:
        async with Life(UNREACHABLE, *definitions, retry_for=0.0) as life:
            for queue in life.registry:
                queue.add("a", "1")
            return await life.save()

    pytest.importorskip("asyncpg")
    return asyncio.run(main())


class TestWhereFilesAre:
    @pytest.fixture(autouse=True)
    def nowhere_else(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("cwd", "tmp"):
            (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / "cwd")
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))

    def directory(self, rows: list[Saved]) -> Path:
        assert rows[0].recovery_file is not None
        return rows[0].recovery_file.parent

    def test_in_recovery_dir_which_is_made(self, file: Path, tmp_path: Path) -> None:
        wanted = tmp_path / "spool" / "mqueue"
        assert self.directory(unsaved(file, THREE, recovery_dir=wanted)) == wanted

    def test_else_beside_the_database(self, file: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        (tmp_path / "file").touch()
        unusable = tmp_path / "file" / "spool"
        assert self.directory(unsaved(file, THREE, recovery_dir=unusable)) == tmp_path
        assert f"no recovery file in {unusable}: Not a directory" in caplog.text
        assert loaded(file) == THREE

    def test_of_a_server_in_the_working_directory_or_that_for_temporary_files(self, tmp_path: Path) -> None:
        assert self.directory(unreachable("name=q;dbmode=1")) == tmp_path / "cwd"
        shutil.rmtree(tmp_path / "cwd")
        assert self.directory(unreachable("name=q;dbmode=1")) == tmp_path / "tmp"
        assert [found.count for found in Recovery(DbUrl.parse(UNREACHABLE)).find("q")] == [1]

    def test_nowhere_is_an_error_after_all_queues_were_tried(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir("/proc")
        monkeypatch.setattr(tempfile, "tempdir", "/proc")
        with pytest.raises(PersistenceError) as caught:
            unreachable("name=q;dbmode=1", "name=p;dbmode=1")
        lost = "queue '{}': no recovery file could be written in /proc: the items are lost"
        assert str(caught.value) == f"{lost.format('q')}; {lost.format('p')}"

    def test_no_file_that_others_could_have_planted_is_loaded(self, file: Path, tmp_path: Path, url: DbUrl) -> None:
        path, _ = Recovery(url, tmp_path / "tmp").write("q", lambda: THREE, None)
        (tmp_path / "cwd" / path.name).symlink_to(path)
        if os.geteuid() == 0:
            os.chown(path, 65534, 65534)
            assert Recovery(url).find("q") == []
        path.unlink()
        assert Recovery(url).find("q") == []

    def test_a_file_of_another_database_of_the_same_name_is_left_alone(
        self, file: Path, tmp_path: Path, url: DbUrl, caplog: pytest.LogCaptureFixture
    ) -> None:
        other = DbUrl.parse("sqlite:////elsewhere/queues.db")
        path, _ = Recovery(other, tmp_path / "spool").write("q", lambda: THREE, None)
        assert Recovery(url, tmp_path / "spool").find("q") == []
        assert f"{path} is of sqlite:////elsewhere/queues.db, queue q: left alone" in caplog.text

    def test_a_directory_may_be_moved_with_all_that_is_in_it(self, file: Path, tmp_path: Path) -> None:
        unsaved(file, THREE)
        moved = tmp_path / "moved"
        moved.mkdir()
        for path in tmp_path.glob("queues.db*"):
            path.rename(moved / path.name)
        assert loaded(moved / "queues.db") == THREE


class TestNames:
    @pytest.mark.parametrize("queue", ["a/b", "..", "größe", "x" * 300, "a b;c", "\ud800", "%2F"], ids=ascii)
    def test_any_queue_has_a_file(self, url: DbUrl, queue: str) -> None:
        recovery = Recovery(url)
        path, _ = recovery.write(queue, lambda: THREE, None)
        assert path.parent == url.file.parent if url.file else False
        assert [list(found.pairs()) for found in recovery.find(queue)] == [THREE]

    def test_two_queues_never_share_one(self, url: DbUrl) -> None:
        names = ["a/b", "a%2Fb", "a.b", "x" * 300, "x" * 301, "q", "q.recovery.2"]
        recovery = Recovery(url)
        for name in names:
            recovery.write(name, lambda name=name: [(name, "")], None)  # type: ignore[misc]
        for name in names:
            assert [list(found.pairs()) for found in recovery.find(name)] == [[(name, "")]]

    def test_none_is_overwritten_and_they_load_in_their_order(self, file: Path, url: DbUrl) -> None:
        for number in range(1, 13):
            Recovery(url).write("q", lambda number=number: [(str(number), "v")], None)  # type: ignore[misc]
        assert [key for key, _ in loaded(file)] == [str(number) for number in range(1, 13)]

    def test_several_at_once_have_several_names(self, url: DbUrl) -> None:
        with ThreadPoolExecutor(8) as pool:
            written = [done.result()[0] for done in [pool.submit(Recovery(url).write, "q", lambda: THREE, None) for _ in range(16)]]
        assert len(set(written)) == 16
        assert all(found.whole for found in Recovery(url).find("q"))

    def test_only_the_owner_may_read_it(self, url: DbUrl) -> None:
        path, _ = Recovery(url).write("q", lambda: THREE, None)
        assert path.stat().st_mode & 0o777 == 0o600

    def test_what_could_not_be_finished_leaves_nothing(self, url: DbUrl, tmp_path: Path) -> None:
        def pairs() -> Iterator[tuple[str, str]]:
            yield THREE[0]
            raise OSError(28, "No space left on device")

        with pytest.raises(PersistenceError):
            Recovery(url, tmp_path).write("q", pairs, None)
        assert list(tmp_path.iterdir()) == []


class TestStrings:
    @settings(deadline=None)
    @given(pairs=st.lists(st.tuples(st.text(st.characters()), st.text(st.characters()))))
    def test_every_string_comes_back(self, tmp_path_factory: pytest.TempPathFactory, pairs: Pairs) -> None:
        recovery = Recovery(DbUrl.parse("sqlite:////nowhere/q.db"), tmp_path_factory.mktemp("recovery"))
        recovery.write("q", lambda: pairs, Rows(7))
        (found,) = recovery.find("q")
        assert (list(found.pairs()), found.count, found.whole, found.replaces) == (pairs, len(pairs), True, Rows(7))

    @pytest.mark.parametrize("text", ["\\ud83d\\ude00", "\\udcc3\\udcb6", "\\ud800", "\\udcff", "\\0", "\\u2028"])
    def test_pairs_of_surrogates_are_not_joined(self, url: DbUrl, text: str) -> None:
        text = ast.literal_eval(f'"{text}"')  # pytest's linter takes all surrogates for one
        recovery = Recovery(url)
        recovery.write("q", lambda: [(text, text)], None)
        assert [list(found.pairs()) for found in recovery.find("q")] == [[(text, text)]]


class TestDamage:
    def found(self, url: DbUrl) -> RecoveryFile:
        (found,) = Recovery(url).find("q")
        return found

    def test_a_file_cut_anywhere_gives_what_is_whole(self, url: DbUrl) -> None:
        path, _ = Recovery(url).write("q", lambda: THREE, Rows(9, 2))
        whole = path.read_bytes()
        for length in range(len(whole) - 1):
            path.write_bytes(whole[:length])
            found = self.found(url)
            assert not found.whole
            assert list(found.pairs()) == THREE[: found.count]
            assert found.count == max(0, min(3, whole[: length + 1].count(b"\n") - 1))

    def test_a_file_that_is_no_such_file_gives_nothing_and_no_error(self, url: DbUrl, recovery_file: Path) -> None:
        noise = random.Random(1)
        for content in (b"", b"\n", b"[]\n{}\n1\nnull\n", b'["a"]\n["a",1]\n[["a"],{"hex":"zz"}]\n', noise.randbytes(5_000)):
            recovery_file.write_bytes(content)
            found = self.found(url)
            assert (found.count, found.whole, list(found.pairs())) == (0, False, [])

    def test_a_damaged_file_is_loaded_and_kept_and_replaces_nothing(
        self, file: Path, recovery_file: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        saved(file, [("a", "1"), ("b", "2")])
        unsaved(file, [("c", "3")])
        recovery_file.write_bytes(recovery_file.read_bytes()[:-20])
        cut = recovery_file.read_bytes()
        assert [key for key, _ in loaded(file)] == ["a", "b", "a", "b"]  # rather twice than never
        assert "is damaged: 2 items of it can be read" in caplog.text
        assert not recovery_file.exists()
        assert recovery_file.with_name(f"{recovery_file.name}.damaged").read_bytes() == cut

    def test_a_file_of_a_newer_version_stops_the_start(self, file: Path, url: DbUrl) -> None:
        path, _ = Recovery(url).write("q", lambda: THREE, None)
        path.write_text(path.read_text().replace('"mqproxy recovery":1', '"mqproxy recovery":2'))
        with pytest.raises(PersistenceError, match="newer version"):
            loaded(file)

    def test_a_file_that_cannot_be_read_stops_the_start(self, file: Path, recovery_file: Path) -> None:
        recovery_file.mkdir()
        with pytest.raises(PersistenceError, match="Is a directory; load or remove it"):
            loaded(file)

    def test_what_a_kill_left_unfinished_is_not_a_recovery_file(self, url: DbUrl, recovery_file: Path) -> None:
        recovery_file.with_name(f".{recovery_file.name}.tmp").write_text("half")
        assert Recovery(url).find("q") == []
        path, _ = Recovery(url).write("q", lambda: THREE, None)
        assert path.name == "queues.db.q.recovery.2.jsonl"

    def test_a_kill_between_table_and_removal_loses_nothing(self, file: Path, recovery_file: Path) -> None:
        saved(file, [("a", "1")])
        unsaved(file, [("b", "2")])
        copy = recovery_file.read_bytes()
        loaded(file)
        recovery_file.write_bytes(copy)  # as if it had not come to the removal
        assert set(loaded(file)) == {("a", "1"), ("b", "2")}
