"""One report a command: the results of its measures as Markdown tables, as JSON and as pictures."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, is_dataclass
from pathlib import Path
from textwrap import wrap
from typing import Any, ClassVar

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from retinagan.evaluation.criteria import Criterion
from retinagan.writing import write_atomically

WORDS = {True: "met", False: "NOT MET", None: "cannot be told"}
WIDTH = 118


def unreported(**options: Any) -> Any:
    """A field of a :class:`Result` that its pictures are drawn from and that is left out of the figures."""
    return field(repr=False, compare=False, metadata={"unreported": True}, **options)


def untabled(**options: Any) -> Any:
    """A field that is among the figures and too long for a table."""
    return field(metadata={"untabled": True}, **options)


class Result:
    """What a measure found: a frozen dataclass whose fields are its figures."""

    title: ClassVar[str]
    """Of its tables."""

    def criteria(self) -> list[Criterion]:
        """What the figures mean for acceptance."""
        return []

    def table(self) -> list[str]:
        """The figures as Markdown: what is of one kind in a table, everything else in a list."""
        kinds: dict[Any, dict[str, Any]] = defaultdict(dict)
        rest: dict[str, str] = {}
        for name, value in reported(self, "unreported", "untabled").items():
            rows = value if isinstance(value, dict) else {}
            if isinstance(value, list) and value and is_dataclass(value[0]):
                rows = {str(number): row for number, row in enumerate(value)}
            if rows:
                kinds[name] = rows
            elif is_dataclass(value):
                kinds[type(value)][name.replace("_", " ")] = value
            else:
                rest |= flat(value, name)
        lines = ["", f"### {self.title}"]
        for kind, rows in kinds.items():
            corner = kind.replace("_", " ") if isinstance(kind, str) else ""
            lines += markdown({str(name): flat(row) for name, row in rows.items()}, corner)
        told = ", ".join(f"{name} {value}" for name, value in rest.items())
        return [*lines, *([""] if told else []), *wrap(told, WIDTH)]

    def pictures(self) -> Mapping[str, Figure | Image.Image]:
        """Name → picture."""
        return {}


@dataclass(frozen=True)
class Report:
    """The results of a command.

    Attributes:
        name: of the command and of the files.
        title: first lines of the text.
        facts: what was measured on what.
        results: name → result, in the order of the text.
    """

    name: str
    title: Sequence[str]
    facts: Mapping[str, Any]
    results: Mapping[str, Result]

    def criteria(self) -> list[Criterion]:
        return [criterion for result in self.results.values() for criterion in result.criteria()]

    def figures(self) -> dict[str, Any]:
        """Everything that was measured, ready for JSON."""
        return plain({**self.facts, **self.results, "criteria": self.criteria()})

    def text(self) -> str:
        """The report in Markdown."""
        lines = [*self.title]
        for result in self.results.values():
            lines += result.table()
        if criteria := self.criteria():
            lines += ["", "### Criteria", ""]
            for one in criteria:
                lines += wrap(f"- **{WORDS[one.met]}** {one.name}. {one.figures}", WIDTH, subsequent_indent="  ")
        return "\n".join(lines)

    def write(self, out: Path) -> None:
        """Write ``NAME.json``, ``NAME.md`` and the pictures ``NAME-*.png`` into ``out``."""
        out.mkdir(parents=True, exist_ok=True)
        write_atomically(out / f"{self.name}.json", json.dumps(self.figures(), indent=1) + "\n")
        write_atomically(out / f"{self.name}.md", self.text() + "\n")
        for result in self.results.values():
            for name, picture in result.pictures().items():
                write_atomically(out / f"{self.name}-{name}.png", functools.partial(_save, picture))


def _save(picture: Figure | Image.Image, path: Path) -> None:
    if isinstance(picture, Image.Image):
        picture.save(path, format="PNG")
    else:
        picture.savefig(path, format="png", dpi=110, facecolor="white")


def reported(result: Any, *without: str) -> dict[str, Any]:
    """The fields of a dataclass that are figures."""
    fields = [one.name for one in dataclasses.fields(result) if not set(without or ["unreported"]) & set(one.metadata)]
    return {name: getattr(result, name) for name in fields}


def plain(value: Any) -> Any:
    """Results, NumPy's numbers and arrays as Python's for JSON; floats of six digits, None for what is not finite."""
    if is_dataclass(value):
        return plain(reported(value))
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [plain(item) for item in value]
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return float(f"{value:.6g}") if np.isfinite(value) else None
    return value


def flat(value: Any, name: str = "") -> dict[str, str]:
    """Figures in words by name; those of nested results have both names. What is None or an array is left out."""
    if is_dataclass(value) or isinstance(value, dict):
        items = reported(value) if is_dataclass(value) else value
        return {k: v for key, item in items.items() for k, v in flat(item, f"{name} {key}".strip()).items()}
    if value is None or isinstance(value, np.ndarray):
        return {}
    words = " ".join(map(number, value)) if isinstance(value, (list, tuple)) else number(value)
    return {name.replace("_", " "): words}


def markdown(rows: Mapping[str, Mapping[str, str]], corner: str = "") -> list[str]:
    """A table of name → column → cell; what is too wide is turned if that is narrower. Columns are padded, so that it
    reads in a terminal too."""
    heads = list(dict.fromkeys(name for row in rows.values() for name in row))
    cells = [[corner, *heads], *([name, *(row.get(head, "-") for head in heads)] for name, row in rows.items())]
    turned = [list(column) for column in zip(*cells, strict=True)]
    if 131 < _width(cells) > _width(turned):
        cells = turned
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = []
    for first, *others in cells:
        padded = [first.ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(others, widths[1:], strict=True))]
        lines.append(f"| {' | '.join(padded)} |")
    rule = "|".join(["-" * (widths[0] + 2), *("-" * (width + 1) + ":" for width in widths[1:])])
    return ["", lines[0], f"|{rule}|", *lines[1:]]


def _width(cells: list[list[str]]) -> int:
    return sum(max(map(len, column)) + 3 for column in zip(*cells, strict=True))


def number(value: Any) -> str:
    """A figure in words: three digits; a dash for None and NaN."""
    if value is None or value != value:
        return "-"
    if not isinstance(value, (float, np.floating)):
        return str(value)
    size = abs(float(value))
    return f"{value:.0f}" if size >= 1000 else f"{value:.3f}" if 0.01 <= size < 1 else f"{value:.3g}"


def numbers(values: Iterable[float] | None, factor: float = 1.0) -> str:
    """Several of them, such as quartiles."""
    return "-" if values is None else " ".join(number(value * factor) for value in values)


def quotient(row: Any, over: str, under: str) -> str:
    """``over / under = ratio`` of a result's fields, in words."""
    return f"{number(getattr(row, over))} / {number(getattr(row, under))} = {number(row.ratio)}"
