"""Files that appear whole or not at all: everything that a person may find is written here.

A disk that fills up, a killed process or a power cut leaves the former file or the new one under a name, never a part
of it. What a killed process was writing stays beside it as ``.NAME.PID.partial``, which nothing reads.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from safetensors import SafetensorError

Content = bytes | str | Callable[[Path], object]
"""Bytes, text (UTF-8), or what writes a file at the path that it is given, whatever its ending."""


def write_atomically(path: str | Path, content: Content) -> None:
    """Write a file under a temporary name in its folder, see it to the disk, then give it its name.

    A symbolic link stays one: its target is written.

    Raises:
        OSError: it could not be written; the message names the file. The former one is as it was.
    """
    path = Path(os.path.realpath(path))
    with named(path):
        if path.exists() and not path.is_file():
            raise OSError("it is there and no ordinary file")
        temporary = partial_of(path)
        try:
            temporary.touch()
            mode = temporary.stat().st_mode
            if callable(content):
                content(temporary)
                temporary.chmod(mode)  # safetensors lets nobody but its writer read a file
            else:
                temporary.write_bytes(content.encode() if isinstance(content, str) else content)
            with open(temporary, "rb+") as file:
                os.fsync(file.fileno())
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def partial_of(path: Path) -> Path:
    """The name under which this process makes ``path``; :func:`partials` finds it."""
    return path.with_name(f".{path.name}.{os.getpid()}.partial")


def partials(folder: Path) -> list[Path]:
    """What processes are making in a folder, or were when they were killed."""
    return sorted(folder.glob(".*.partial"))


@contextlib.contextmanager
def named(path: Path) -> Iterator[None]:
    """What fails in writing ``path`` is an OSError whose message names it; ``errno`` stays."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        told = OSError(f"{path} could not be written: {reason}")
        told.errno = getattr(error, "errno", None)
        raise told from error
