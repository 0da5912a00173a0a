"""One training at a time in a run's folder: two would overwrite each other's states.

``training.lock`` names the process that trains there and its host. It is made with O_EXCL, which holds on every file
system, network ones included; who finds one tells a living process from one that was killed.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tqdm import tqdm

from retinagan.writing import named

LOCK = "training.lock"


class RunLocked(RuntimeError):
    """Another training holds the folder; the message names its process, its host and the way out."""


@contextlib.contextmanager
def locked(run_dir: Path) -> Iterator[None]:
    """Hold a run's folder. The lock of a process of this host that is gone is told and taken over.

    Raises:
        RunLocked: a living process holds it, or one of another host, of which nobody here can tell whether it lives.
        OSError: the lock could not be written.
    """
    path = run_dir / LOCK
    if path.exists():
        _take_over(path)
    mine = json.dumps({"pid": os.getpid(), "host": platform.node(), "since": time.strftime("%Y-%m-%d %H:%M:%S")})
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    except FileExistsError:
        raise RunLocked(f"another training began in {run_dir} at this very moment; choose another folder") from None
    try:
        with named(path), open(descriptor, "w", encoding="utf-8") as file:
            file.write(mine + "\n")
        yield
    finally:
        path.unlink(missing_ok=True)


def _take_over(path: Path) -> None:
    holder = _holder(path)
    who = f"process {holder['pid']} on {holder['host']} (since {holder['since']})" if holder else "an unknown process"
    if holder and holder["host"] == platform.node() and not _lives(holder["pid"]):
        tqdm.write(f"{path.parent} was left locked by {who}, which is gone: taken over")
        path.unlink(missing_ok=True)
        return
    if holder and holder["host"] == platform.node():
        way = f"stop it or choose another folder; if that is no training, delete {path}"
    else:
        way = f"choose another folder or, if no training runs there any more, delete {path}"
    raise RunLocked(f"{path.parent} is held by {who}: {way}")


def _holder(path: Path) -> dict[str, Any] | None:
    """What a lock tells of its holder; None if nothing that can be read."""
    try:
        holder = json.loads(path.read_text(encoding="utf-8"))
        return {"pid": int(holder["pid"]), "host": str(holder["host"])[:80], "since": str(holder["since"])[:80]}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _lives(pid: int) -> bool:
    if pid == os.getpid():
        return False  # this process holds none yet; containers give the same number again
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True
