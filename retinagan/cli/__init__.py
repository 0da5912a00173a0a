"""The command line: ``retinagan COMMAND``, or ``python -m retinagan COMMAND``; one file a command.

Thin over the modules that do the work; they are imported when a command runs, so that help is instant. Whatever goes
wrong is one line on stderr and exit code 2; ``prepare`` ends with 1 if some photographs failed, and an interrupted
command with 130.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from retinagan import __version__
from retinagan.cli import (
    bench,
    demo,
    evaluate,
    export,
    fit_eye,
    fit_maps,
    import_original,
    info,
    prepare,
    render,
    sample,
    train,
)
from retinagan.cli.arguments import PROGRAM, Parser, join_negatives

COMMANDS = (demo, prepare, train, sample, render, evaluate, export, fit_eye, fit_maps, import_original, info, bench)


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands; ``options.command`` is the chosen one's name, ``options.run`` what runs it."""
    parser = Parser(
        prog=PROGRAM,
        description="Fundus photographs from retinopathy grades and lesion maps. Synthetic, not for diagnosis.",
        epilog=f"example: {PROGRAM} sample --grade 3 --seeds 0-4 --photos 2 --out samples",
    )
    parser.add_argument("--version", action="version", version=f"retinagan {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True, parser_class=Parser)
    for command in COMMANDS:
        command.add(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the process's exit code."""
    options = build_parser().parse_args(join_negatives(sys.argv[1:] if argv is None else argv))
    try:
        return options.run(options)
    except KeyboardInterrupt:
        return _complain("interrupted", code=130)
    except (OSError, ValueError, TypeError, RuntimeError) as error:
        return _complain(error)
    except ModuleNotFoundError as error:
        return _complain(
            f"this needs {error.name}, which an extra installs: pip install 'retinagan[train,eval,original]'"
        )
    except Exception as error:  # a user is never shown a traceback
        return _complain(f"unexpected {type(error).__name__}: {error}")


def _complain(problem: object, code: int = 2) -> int:
    print(f"retinagan: error: {' '.join(str(problem).split())}", file=sys.stderr)
    return code
