"""One training at a time in a folder."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys

import pytest

from retinagan.training.lock import LOCK, RunLocked, locked
from retinagan.training.state import latest_state, read_state
from tests.full_disk import full_disk
from tests.toy_task import ToyTask
from tests.training.test_loop import run


def write_lock(folder, **changed):
    holder = {"pid": 7, "host": platform.node(), "since": "2026-01-02 03:04:05"} | changed
    (folder / LOCK).write_text(json.dumps(holder))


@pytest.fixture(scope="module")
def gone() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_second_training_is_refused(tmp_path):
    """The process that started this one lives as long."""
    run(tmp_path, 2)
    write_lock(tmp_path, pid=os.getppid())
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    for resume in (False, True):
        with pytest.raises(RunLocked, match=f"is held by process {os.getppid()} on .*: stop it or choose another"):
            run(tmp_path, 5, resume=resume)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before


def test_a_lock_whose_process_is_gone_is_told_and_taken_over(tmp_path, gone, capsys):
    write_lock(tmp_path, pid=gone)
    assert run(tmp_path, 2).step == 2
    told = f"{tmp_path} was left locked by process {gone} on {platform.node()} (since 2026-01-02 03:04:05)"
    assert told in capsys.readouterr().out and not (tmp_path / LOCK).exists()


def test_a_folder_is_locked_while_it_is_trained_in(tmp_path):
    class Looking(ToyTask):
        def step(self, *rest):
            seen.append(json.loads((tmp_path / LOCK).read_text())["pid"])
            return super().step(*rest)

    seen: list[int] = []
    run(tmp_path, 2, task=Looking)
    assert seen == [os.getpid()] * 2


def test_what_another_host_holds_is_left_alone_and_the_way_out_named(tmp_path, gone):
    write_lock(tmp_path, host="elsewhere", pid=gone)
    with pytest.raises(RunLocked, match=f"by process {gone} on elsewhere .*no training runs there any more, delete"):
        run(tmp_path, 2)
    assert (tmp_path / LOCK).exists() and latest_state(tmp_path) is None
    (tmp_path / LOCK).unlink()
    assert run(tmp_path, 2).step == 2


@pytest.mark.parametrize("content", [b"", b"{}", b"[" * 100_000, b"\xff\x00", b'{"pid": "x", "host": 1, "since": 2}'])
def test_a_lock_that_cannot_be_read_is_left_alone(tmp_path, content):
    (tmp_path / LOCK).write_bytes(content)
    with pytest.raises(RunLocked, match=f"held by an unknown process: .*delete {tmp_path / LOCK}"):
        with locked(tmp_path):
            pytest.fail("the lock was taken")
    assert (tmp_path / LOCK).read_bytes() == content


def test_a_number_that_this_process_has_now_is_of_one_before(tmp_path, capsys):
    write_lock(tmp_path, pid=os.getpid())
    with locked(tmp_path):
        assert json.loads((tmp_path / LOCK).read_text())["since"] != "2026-01-02 03:04:05"
    assert "taken over" in capsys.readouterr().out and not (tmp_path / LOCK).exists()


def test_it_goes_with_whatever_ends_the_training(tmp_path):
    with pytest.raises(ZeroDivisionError), locked(tmp_path):
        raise ZeroDivisionError
    run(tmp_path, 2)
    with pytest.raises(FileExistsError, match="already holds a run"):
        run(tmp_path, 3)
    with full_disk(3), pytest.raises(OSError, match=f"{LOCK} could not be written"), locked(tmp_path):
        pytest.fail("a lock that nobody can read was held")
    assert not (tmp_path / LOCK).exists()
    assert read_state(latest_state(tmp_path)).meta["step"] == 2
