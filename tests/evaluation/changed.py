"""Figures with one of them changed."""

from dataclasses import is_dataclass, replace
from typing import Any


def changed(figures: Any, path: tuple, value: Any) -> Any:
    """A copy of nested dataclasses, dicts and lists with ``value`` at ``path``."""
    if not path:
        return value
    first, *rest = path
    if is_dataclass(figures):
        return replace(figures, **{first: changed(getattr(figures, first), tuple(rest), value)})
    copy = figures.copy()
    copy[first] = changed(figures[first], tuple(rest), value)
    return copy
