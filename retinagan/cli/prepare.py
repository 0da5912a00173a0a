"""``retinagan prepare``: a data set → square full-circle pairs of photograph and map."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from retinagan.cli.arguments import add_command, add_quiet, number


def add(commands: Any) -> None:
    parser = add_command(
        commands,
        "prepare",
        run,
        "Make square full-circle pairs of photograph and map from a data set.",
        "Writes images/, maps/, vessels/, grades.csv and manifest.csv. Running it again keeps what is already right.\n"
        "Ends with 1 if some photographs failed; they are listed on stderr.",
        "IDRiD --out data/idrid512 --size 512 --workers 2",
        "IDRiD --out data/idrid512 --pseudo-label checkpoints/default",
    )
    parser.add_argument(
        "data", help="the data set's folder: IDRiD, FGADR Seg-set, or a plain folder with images/ and maps/"
    )
    parser.add_argument("--out", required=True, help="folder to write")
    parser.add_argument("--layout", choices=("auto", "idrid", "fgadr", "folder"), default="auto", help="default: auto")
    parser.add_argument(
        "--size", type=number(int, 32, 2048, "size"), default=512, help="side in pixels, 32-2048 (default 512)"
    )
    parser.add_argument("--workers", type=number(int, 1, 64, "workers"), default=1, help="processes, 1-64 (default 1)")
    parser.add_argument("--include-unlabelled", action="store_true", help="also photographs without a map")
    parser.add_argument(
        "--pseudo-label",
        metavar="SEGMENTER",
        help="predict maps of the photographs without one, with this segmenter: a checkpoint, or a model folder that "
        "holds segmenter.safetensors; takes photographs without a map too",
    )
    add_quiet(parser)


def run(options: argparse.Namespace) -> int:
    from retinagan.data import readers
    from retinagan.data.prepare import prepare
    from retinagan.resources import model_folder

    root = Path(options.data)
    segmenter = None if options.pseudo_label is None else model_folder(options.pseudo_label)
    unlabelled = options.include_unlabelled or segmenter is not None
    if segmenter is not None and not segmenter.exists():
        raise FileNotFoundError(f"no segmenter at {segmenter}; train one: python -m retinagan train segmenter")
    layout = readers.detect_layout(root) if options.layout == "auto" else options.layout
    if layout == "idrid":
        eyes = readers.read_idrid(root, include_unlabelled=unlabelled)
    elif layout == "fgadr":
        eyes = readers.read_fgadr(root)
    else:
        eyes = (e for e in readers.read_folder(root) if e.has_map or e.problem or unlabelled)
    report = prepare(eyes, options.out, size=options.size, workers=options.workers, progress=not options.quiet)
    first, *failures = report.summary().splitlines()
    print(f"{first}: {options.out}")
    for line in failures:
        print(line, file=sys.stderr)
    if segmenter is not None:
        from retinagan.data.pseudo import pseudo_label

        print(pseudo_label(Path(options.out), segmenter, progress=not options.quiet).summary())
    return 1 if report.failed else 0
