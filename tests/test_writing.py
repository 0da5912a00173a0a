"""Files appear whole or not at all."""

from __future__ import annotations

import errno
import os
import random
import stat
import subprocess
import sys
import time

import numpy as np
import pytest
from safetensors import SafetensorError
from safetensors.numpy import save_file

from retinagan.writing import partial_of, partials, write_atomically
from tests.full_disk import full_disk
from tests.paths import ROOT


@pytest.mark.parametrize(
    ("content", "expected"),
    [(b"bytes", b"bytes"), ("Grün\n", "Grün\n".encode()), (lambda path: path.write_bytes(b"own"), b"own")],
)
def test_a_file_is_written_and_replaced(tmp_path, content, expected):
    path = tmp_path / "file.png"
    for _ in range(2):
        write_atomically(str(path), content)
        assert path.read_bytes() == expected
    assert os.listdir(tmp_path) == ["file.png"]


def test_it_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    path = tmp_path / "file"
    seen = []
    monkeypatch.setattr(os, "fsync", lambda fd: seen.append(os.path.samestat(os.fstat(fd), partial_of(path).stat())))
    write_atomically(path, b"new")
    assert seen == [True]


def test_a_full_disk_leaves_the_former_file_and_is_told_with_the_name(tmp_path):
    path = tmp_path / "photo.png"
    write_atomically(path, b"old")
    tensors = {"a": np.zeros(4000, np.float32)}
    for content in (b"x" * 5000, "x" * 5000, lambda to: save_file(tensors, to)):
        with full_disk(1000), pytest.raises(OSError, match="photo.png could not be written: .*large"):
            write_atomically(path, content)
        assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["photo.png"]


def test_a_disk_that_is_full_only_when_all_is_seen_to_it(tmp_path, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="new.json could not be written: No space left on device") as caught:
        write_atomically(tmp_path / "new.json", "{}")
    assert caught.value.errno == errno.ENOSPC and not os.listdir(tmp_path)


def test_what_else_goes_wrong_leaves_nothing_either(tmp_path):
    def breaks(path):
        path.write_bytes(b"half")
        raise SafetensorError("no such dtype")

    with pytest.raises(OSError, match="a could not be written: no such dtype"):
        write_atomically(tmp_path / "a", breaks)
    with pytest.raises(ZeroDivisionError):
        write_atomically(tmp_path / "a", lambda path: path.write_bytes(b"half") and 1 / 0)
    with pytest.raises(OSError, match="nowhere/a could not be written: No such file"):
        write_atomically(tmp_path / "nowhere" / "a", b"")
    assert not os.listdir(tmp_path)


def test_links_stay_and_devices_are_left_alone(tmp_path):
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    write_atomically(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real").read_bytes() == b"new"
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "."):
        with pytest.raises(OSError, match="no ordinary file"):
            write_atomically(tmp_path / name, b"")


def test_a_process_that_is_killed_while_writing_leaves_whole_files(tmp_path):
    """Files of 4 MB, one letter each: a mixture, or another length, was cut."""
    path, size = tmp_path / "file", 4_000_000
    lines = "import sys, itertools\nfrom retinagan.writing import write_atomically\n"
    lines += f"for i in itertools.count(): write_atomically({str(path)!r}, bytes([65 + i % 26]) * {size})"
    rng = random.Random(4)
    for _ in range(8):
        path.unlink(missing_ok=True)
        process = subprocess.Popen([sys.executable, "-c", lines], cwd=ROOT)
        while not path.exists():
            assert process.poll() is None
            time.sleep(0.005)
        time.sleep(rng.uniform(0, 0.05))
        process.kill()
        process.wait()
        content = path.read_bytes()
        assert len(content) == size and len(set(content)) == 1
    assert {each.name for each in tmp_path.iterdir()} == {"file", *(each.name for each in partials(tmp_path))}


def test_files_are_readable_by_whom_the_user_lets_read(tmp_path):
    """safetensors writes for its owner alone; a model folder is served by others, too."""
    former = os.umask(0o027)
    try:
        write_atomically(tmp_path / "weights.safetensors", lambda path: save_file({"w": np.ones(2)}, path))
        write_atomically(tmp_path / "note.txt", "text")
    finally:
        os.umask(former)
    assert [stat.S_IMODE(path.stat().st_mode) for path in sorted(tmp_path.iterdir())] == [0o640, 0o640]
