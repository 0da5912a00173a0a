"""Requests to stop: SIGTERM and Ctrl-C end a run between two steps, with its state saved."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import threading
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def _signals_handled(handle: Callable[[int, object], None]) -> Iterator[None]:
    """SIGTERM and Ctrl-C go to ``handle`` for a while; only a main thread may do so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def stop_signals() -> Iterator[list[int]]:
    """A request to stop is noted, so that the step is finished and saved; a second Ctrl-C stops at once."""
    asked: list[int] = []

    def note(number: int, _frame: object) -> None:
        if asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        asked.append(number)

    with _signals_handled(note):
        yield asked


def signals_for_children() -> contextlib.AbstractContextManager[None]:
    """The process that waits for several devices passes requests to stop on to them."""

    def pass_on(_number: int, _frame: object) -> None:
        for child in multiprocessing.active_children():
            child.terminate()  # SIGTERM, which they take as a request

    return _signals_handled(pass_on)
