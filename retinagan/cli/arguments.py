"""What the commands share: their parsers, the checks of their values, options that several have."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from retinagan.seeds import MAX_SEED

MAX_SEEDS = 1_000_000
PROGRAM = "retinagan" if Path(sys.argv[0]).stem == "retinagan" else "python -m retinagan"
"""What the user calls: the installed command, or the package."""

Number = TypeVar("Number", int, float)


class Parser(argparse.ArgumentParser):
    """argparse, with one line instead of usage and line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"retinagan: error: {' '.join(message.split())} (see {self.prog} --help)\n")


def add_command(
    commands: Any, name: str, run: Callable[[argparse.Namespace], int], summary: str, details: str, *examples: str
) -> argparse.ArgumentParser:
    """A command's parser, without its options yet; ``run`` gets them and returns the exit code."""
    lines = "\n".join(f"  {PROGRAM} {name} {example}".rstrip() for example in examples)
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=summary,
        description=f"{summary}\n\n{details}",
        epilog=f"example:\n{lines}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(command=name, run=run)
    return parser


def join_negatives(argv: Sequence[str]) -> list[str]:
    """``--seeds -1,2`` → ``--seeds=-1,2``: argparse takes such a value for an option and says nothing of it."""
    joined: list[str] = []
    for word in argv:
        if joined and joined[-1] in ("--seeds", "--styles", "--grade") and word[:1] == "-" and word[1:2].isdigit():
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    return joined


def parse_seeds(text: str) -> list[int]:
    """``"0,3,10-19"`` → seeds in that order, each once.

    Raises:
        ValueError: not of that form, a negative seed, one above 2⁶³-1, a falling range, or more than a million seeds.
    """
    seeds: dict[int, None] = {}
    for part in text.split(","):
        part = part.strip()
        if part.startswith("-"):
            raise ValueError(f"seed {part} is negative; allowed are 0 to {MAX_SEED}")
        first, dash, last = part.partition("-")
        if not _is_number(first) or (dash and not _is_number(last)):
            raise ValueError(f"{part!r} in {text!r} is no seed; write seeds as 0,3,10-19")
        low, high = int(first), int(last) if dash else int(first)
        if high > MAX_SEED:
            raise ValueError(f"seed {high} is too large; allowed are 0 to {MAX_SEED}")
        if high < low:
            raise ValueError(f"range {part} falls; write it as {high}-{low}")
        if high - low + len(seeds) >= MAX_SEEDS:
            raise ValueError(f"{text} is more than {MAX_SEEDS:,} seeds; split the work")
        seeds.update(dict.fromkeys(range(low, high + 1)))
    return list(seeds)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 20


def argument(check: Callable[[str], Any]) -> Callable[[str], Any]:
    """A parser for argparse whose ValueError reaches the user in its own words."""

    def parse(text: str) -> Any:
        try:
            return check(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return parse


def number(kind: type[Number], low: Number, high: Number | None, name: str) -> Callable[[str], Number]:
    """A number of ``low`` to ``high``; ``high`` None: no upper limit."""

    def check(text: str) -> Number:
        limits = f"{low} to {high}" if high is not None else f"{low} and more"
        try:
            value = kind(text)
        except ValueError:
            raise ValueError(f"{name} is {text!r}; allowed are {limits}") from None
        if not low <= value <= (float("inf") if high is None else high) or value == float("inf"):
            raise ValueError(f"{name} is {text}; allowed are {limits}")
        return value

    return argument(check)


def add_fit(parser: argparse.ArgumentParser, data: str, weights: str) -> None:
    """What commands take that fit something to the file ``weights`` of a model; ``data``: which data they need."""
    parser.add_argument("--data", required=True, help=data)
    parser.add_argument("--model", required=True, help=f"model folder; its {weights} is changed")
    parser.add_argument(
        "--dry-run", action="store_true", help="print what would be written and leave the model as it is"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 … (default auto)")
    add_quiet(parser)


def add_quiet(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def add_model(parser: argparse.ArgumentParser) -> None:
    """The options of commands that make photographs."""
    parser.add_argument("--out", required=True, help="folder to write; files of the same names are replaced")
    parser.add_argument("--model", help="model folder (default: checkpoints/default)")
    parser.add_argument(
        "--size",
        type=number(int, 1, 8192, "size"),
        help="side of the photographs: the model's own, or twice that with its last stage (default: the model's own)",
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 … (default auto)")
    add_quiet(parser)


def new_folder(path: str | Path) -> Path:
    """The folder that a command writes to, made if it is not there."""
    folder = Path(path)
    folder.mkdir(parents=True, exist_ok=True)
    return folder
