"""``retinagan evaluate``: how good a model is."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path
from typing import Any

from retinagan.cli.arguments import add_command, add_quiet, new_folder, number
from retinagan.resources import DEFAULT_MODEL, model_folder

EVALUATIONS = ("maps", "photos", "segmenter", "reference")


def add(commands: Any) -> None:
    parser = add_command(
        commands,
        "evaluate",
        run,
        "Measure how good a model is: its maps, its photographs or its segmenter.",
        "maps: what generated lesion maps of each grade hold against real ones, and whether they copy them.\n"
        "photos: how far photographs of held-out maps are from real ones.\n"
        "segmenter: how well lesions are found in photographs.\n"
        "reference: how well a reference photograph gives its colour and its vessels.\n"
        "Prints a table; writes OUT/NAME.json and figures, which may show the data set's own maps and photographs.",
        "maps --data data/idrid512 --count 200 --out runs/evaluation",
    )
    parser.add_argument("what", choices=EVALUATIONS, help="what to evaluate")
    parser.add_argument("--data", required=True, help="prepared folder")
    parser.add_argument("--model", help="model folder (default: checkpoints/default)")
    parser.add_argument("--out", default="runs/evaluation", help="folder to write (default: runs/evaluation)")
    parser.add_argument(
        "--count",
        type=number(int, 1, 100_000, "count"),
        help="how many: maps a grade, photographs a map … (default: enough for steady figures)",
    )
    parser.add_argument(
        "--inception",
        metavar="FILE",
        help="photos: FID and KID too, with Inception's weights as safetensors (see "
        "retinagan.evaluation.feature_space)",
    )
    add_quiet(parser)


def run(options: argparse.Namespace) -> int:
    from retinagan.data.prepare import read_manifest

    read_manifest(options.data)  # a wrong folder is told before anything is loaded or written
    evaluation = importlib.import_module(f"retinagan.evaluation.{options.what}")
    if options.inception and options.what != "photos":
        raise ValueError(f"--inception is for photos; {options.what} has no use for it")
    more = {"inception": Path(options.inception)} if options.inception else {}
    model, out = model_folder(options.model or DEFAULT_MODEL), new_folder(options.out)
    figures = evaluation.evaluate(Path(options.data), model, out, options.count, progress=not options.quiet, **more)
    print(evaluation.table(figures))
    print(f"figures: {out}")
    return 0
