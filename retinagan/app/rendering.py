"""Photographs in the making, beside the page: one thread a session, and the newest wish wins."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

LOG = logging.getLogger("retinagan.app")


class Wish(NamedTuple):
    """Something to make. ``key`` says what it is; ``make`` makes it, without any call of Streamlit's."""

    key: Hashable
    make: Callable[[], Any]


class Look(NamedTuple):
    """``pending``: something is being made or waits; ``key``, ``made``: what was made last, None at first; ``error``:
    why the wish that was asked about could not be made."""

    pending: bool
    key: Hashable
    made: Any
    error: Exception | None


class Renderer:
    """Makes what was asked for last.

    What is asked for while something is made waits; of several that wait only the newest is made. The thread starts
    when there is something to make and ends when there is nothing left, so a closed session leaves none behind.
    """

    def __init__(self) -> None:
        self._lock = threading.Condition()
        self._making: Wish | None = None
        self._next: Wish | None = None
        self._key: Hashable = None
        self._made: Any = None
        self._error: tuple[Hashable, Exception] | None = None

    def ask(self, key: Hashable, make: Callable[[], Any]) -> None:
        """Wish for ``make()``. Nothing is made twice for the same key in a row; what failed is not tried again."""
        with self._lock:
            failed = self._error is not None and self._error[0] == key
            if self._making is not None and self._making.key == key:
                self._next = None
            elif self._making is None and (self._key == key or failed):
                return
            elif self._making is None:
                self._making, self._error = Wish(key, make), None
                threading.Thread(target=self._work, name="photographs", daemon=True).start()
            else:
                self._next = Wish(key, make)

    def look(self, key: Hashable, patience: float = 0.0) -> Look:
        """Everything at one moment: when nothing is in the making any more, or after ``patience`` seconds; ``key`` is
        that of the wish whose failure is of interest."""
        with self._lock:
            self._lock.wait_for(lambda: self._making is None, patience)
            error = self._error[1] if self._error is not None and self._error[0] == key else None
            return Look(self._making is not None, self._key, self._made, error)

    def _work(self) -> None:
        wish = self._making
        while wish is not None:
            try:
                made, error = wish.make(), None
            except Exception as problem:  # whatever it is, the page has to say it instead of waiting for ever
                made, error = None, problem
                LOG.warning("a photograph could not be made", exc_info=True)
            with self._lock:
                if error is None:
                    self._key, self._made, self._error = wish.key, made, None
                else:
                    self._error = (wish.key, error)
                wish = self._making = self._next
                self._next = None
                self._lock.notify_all()
