"""Nothing half-written: atomic files, swapped folders, checksums."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from runtimes.errors import OutputError, UsageError
from runtimes.files import (
    digest,
    make_folder,
    output_error,
    recover_swap,
    size_of,
    swapped_folder,
    write_atomically,
)

MARK = "manifest.json"


def fill(folder: Path, text: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARK).write_text(text)


def contents(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_swap_replaces_the_whole_folder(tmp_path: Path) -> None:
    target = tmp_path / "out"
    fill(target, "old")
    (target / "leftover").write_text("x")
    with swapped_folder(target, MARK) as fresh:
        assert (target / MARK).read_text() == "old"
        fill(fresh, "new")
    assert contents(target) == [MARK]
    assert (target / MARK).read_text() == "new"
    assert contents(tmp_path) == ["out"]


def test_a_mount_point_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "volume"
    target.mkdir()
    monkeypatch.setattr(Path, "is_mount", lambda path: path == target)
    with pytest.raises(UsageError, match="volume is a mount point"), swapped_folder(target, MARK):
        pytest.fail("nothing can be swapped with a mount point")
    assert contents(tmp_path) == ["volume"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_failure_leaves_the_previous_folder_whole(tmp_path: Path, error: type[BaseException]) -> None:
    target = tmp_path / "out"
    fill(target, "old")
    with pytest.raises(error), swapped_folder(target, MARK) as fresh:
        fill(fresh, "half")
        raise error
    assert (target / MARK).read_text() == "old"
    assert contents(tmp_path) == ["out"]


def test_a_swap_that_was_killed_between_its_renames_is_undone_or_finished(tmp_path: Path) -> None:
    target, old = tmp_path / "out", tmp_path / ".out.old"
    fill(old, "old")
    recover_swap(target)
    assert (target / MARK).read_text() == "old"
    fill(old, "older")
    recover_swap(target)
    assert (target / MARK).read_text() == "old"
    assert contents(tmp_path) == ["out"]


def test_a_folder_of_somebody_else_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(UsageError, match="other files"), swapped_folder(tmp_path, MARK):
        pass
    assert (tmp_path / "thesis.tex").read_text() == "years of work"
    with pytest.raises(UsageError, match="is a file"), swapped_folder(tmp_path / "thesis.tex", MARK):
        pass


def test_an_empty_folder_may_be_taken(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with swapped_folder(tmp_path / "out", MARK) as fresh:
        fill(fresh, "new")
    assert (tmp_path / "out" / MARK).exists()


def test_a_write_that_cannot_be_is_one_error_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        write_atomically(tmp_path / "no" / "such" / "folder.json", "x")
    assert contents(tmp_path) == []
    assert "no space left" in str(output_error(tmp_path, OSError(errno.ENOSPC, "No space left on device")))
    assert "Choose another folder" in str(
        output_error(tmp_path, OSError(errno.EROFS, "Read-only file system"))
    )


def test_a_folder_that_takes_no_file_is_an_error_before_any_work(tmp_path: Path) -> None:
    assert contents(make_folder(tmp_path / "new" / "folder")) == []
    closed = Path("/proc/self")  # to root too
    if not closed.exists():
        pytest.skip("this system has no folder that is closed to everyone")
    with pytest.raises(OutputError, match="cannot be written"):
        make_folder(closed)


def test_a_checksum_sees_contents_and_names(tmp_path: Path) -> None:
    fill(tmp_path / "a", "x")
    fill(tmp_path / "b", "x")
    assert digest(tmp_path / "a") == digest(tmp_path / "b")
    (tmp_path / "b" / MARK).rename(tmp_path / "b" / "other")
    assert digest(tmp_path / "a") != digest(tmp_path / "b")
    assert digest(tmp_path / "a" / MARK) == "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
    assert size_of(tmp_path / "a") == 1
