"""The result of a run as a table and as figures for JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from retinagan.bench.names import RATES, TITLES
from retinagan.bench.timing import Seconds

LINE = "{:44}{:>9}  {:<15}{:>9}{:>9}  {}"


@dataclass(frozen=True)
class Row:
    """A row's times, and the multiply-adds of one of what it tells of.

    Attributes:
        name: one of ``names``, or a yardstick's.
        yardstick: the name of the row that its multiply-adds are measured by.
    """

    name: str
    seconds: Seconds
    macs: int
    yardstick: str

    @property
    def title(self) -> str:
        return TITLES.get(self.name, self.name)


@dataclass(frozen=True)
class Compared:
    """Two rows that give the same: which, and the largest difference of what they give, in ``unit``."""

    title: str
    rows: tuple[str, str]
    difference: float
    unit: str = ""


@dataclass(frozen=True)
class Report:
    """What a run found.

    Attributes:
        facts: what was measured, on what machine.
        rows: by name, yardsticks first.
        skipped: name → why it was not measured.
        compared: rows that give the same.
        memory: MiB at most, by what was made.
        browser: figures of the app in a browser, by title; in seconds where the title does not tell.
    """

    facts: Mapping[str, Any]
    rows: Mapping[str, Row]
    skipped: Mapping[str, str]
    compared: list[Compared]
    memory: Mapping[str, float]
    browser: Mapping[str, float] = field(default_factory=dict)

    def rate(self, row: Row) -> float:
        """Multiply-adds a second of the row's yardstick, at its median."""
        yardstick = self.rows[row.yardstick]
        return yardstick.macs / yardstick.seconds.median

    def multiple(self, row: Row) -> float | None:
        """The row's median as a multiple of what its multiply-adds take at the yardstick's rate; None without any."""
        return row.seconds.median * self.rate(row) / row.macs if row.macs else None

    def speed_up(self, compared: Compared) -> float:
        slow, fast = (self.rows[name].seconds.median for name in compared.rows)
        return slow / fast

    def figures(self) -> dict[str, Any]:
        """Everything that was measured, ready for JSON."""
        return {
            **self.facts,
            "rows": {
                name: {
                    "title": row.title,
                    "seconds": asdict(row.seconds),
                    "multiply_adds": row.macs,
                    "yardstick": row.yardstick,
                    "multiple": self.multiple(row),
                }
                for name, row in self.rows.items()
            },
            "skipped": dict(self.skipped),
            "compared": [asdict(compared) | {"speed_up": self.speed_up(compared)} for compared in self.compared],
            "memory_mib": dict(self.memory),
            "browser": dict(self.browser),
        }

    def text(self) -> str:
        """The table."""
        facts = ", ".join(f"{name} {value}" for name, value in self.facts.items() if value is not None)
        lines = [facts, "", LINE.format("", "seconds", "quartiles", "GMAC", "× ideal", "").rstrip()]
        lines += map(self._line, self.rows.values())
        rates = {row.yardstick: self.rate(row) for row in self.rows.values()}
        told = ", ".join(f"{name} {2 * rate / 1e9:,.0f} GFLOP/s" for name, rate in rates.items())
        lines += ["", f"× ideal: the time as a multiple of what its multiply-adds take at the rate of: {told}"]
        for compared in self.compared:
            lines.append(
                f"{compared.title}: {self.speed_up(compared):.1f} × as fast, largest difference "
                f"{compared.difference:.2g}{compared.unit}"
            )
        lines += [f"memory, {what}: {mebibytes:,.0f} MiB at most" for what, mebibytes in self.memory.items()]
        lines += [f"in a browser, {what}: {value:.2f}" for what, value in self.browser.items()]
        lines += [f"not measured: {TITLES[name]}: {reason}" for name, reason in self.skipped.items()]
        return "\n".join(lines)

    def _line(self, row: Row) -> str:
        seconds, multiple = row.seconds, self.multiple(row)
        return LINE.format(
            row.title,
            f"{seconds.median:.3f}",
            f"{seconds.lower_quartile:.3f} – {seconds.upper_quartile:.3f}",
            f"{row.macs / 1e9:.2f}" if row.macs else "",
            f"{multiple:.1f}" if multiple else "",
            f"{1 / seconds.median:.2f} a second" if row.name in RATES else "",
        ).rstrip()
