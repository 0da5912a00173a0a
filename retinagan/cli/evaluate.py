"""``retinagan evaluate``: how good a model is."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path
from typing import Any

from retinagan.cli.arguments import Parser, add_command, add_quiet, new_folder, number
from retinagan.resources import DEFAULT_MODEL, model_folder

EVALUATIONS = {
    "maps": "what generated lesion maps of each grade hold against real ones, and whether they copy them",
    "photos": "how far photographs of held-out maps are from real ones",
    "segmenter": "how well lesions are found in photographs",
    "grader": "how well grades are read in photographs, real and generated",
    "reference": "how well a reference photograph gives its colour and its vessels",
    "contrast": "whether lesions are brighter or darker than the retina around them, as real ones are",
    "fovea": "how dark the fovea is by distance, real beside generated",
    "vessels": "how like real vessels grown ones are",
    "sheet": "a contact sheet of maps and photographs of every grade, for looking at",
}
"""Evaluation, the module of :mod:`retinagan.evaluation` that makes it, and what it tells."""


def add(commands: Any) -> None:
    parser = add_command(
        commands,
        "evaluate",
        run,
        "Measure how good a model is: its maps, its photographs, its vessels, its segmenter or its grader.",
        "Prints a report; writes OUT/NAME.json, OUT/NAME.md and pictures, which may show the data set's own maps and\n"
        "photographs. Each has its own help: evaluate maps --help.",
        "maps --data data/idrid512 --count 200 --out runs/evaluation",
    )
    choices = parser.add_subparsers(
        dest="what", metavar="WHAT", required=True, parser_class=Parser, title="what to evaluate", help="its own --help"
    )
    for name, summary in EVALUATIONS.items():
        one = choices.add_parser(name, help=summary, description=f"Shows {summary}.")
        if name != "sheet":
            one.add_argument("--data", required=True, help="prepared folder")
        one.add_argument("--model", help="model folder (default: checkpoints/default)")
        one.add_argument("--out", default="runs/evaluation", help="folder to write (default: runs/evaluation)")
        one.add_argument(
            "--count",
            type=number(int, 1, 100_000, "count"),
            help="how many: maps a grade, photographs, eyes, styles a map … (default: enough for steady figures)",
        )
        add_quiet(one)
        if name == "photos":
            told = "FID and KID too, with Inception's weights as safetensors (see retinagan.evaluation.feature_space)"
            one.add_argument("--inception", metavar="FILE", type=Path, help=told)
            told = (
                "grader that reads the grades: a checkpoint or a folder of them (default: the shipped model's, if any)"
            )
            one.add_argument("--grader", metavar="PATH", type=Path, help=told)
        if name == "grader":
            one.add_argument(
                "--generated", metavar="FOLDER", help="model folder whose photographs are graded, too (default: none)"
            )
        if name == "sheet":
            one.add_argument(
                "--side", type=number(int, 16, 1024, "side"), default=256, help="of a picture in pixels (default 256)"
            )
            one.add_argument(
                "--truncation", type=number(float, 0, 1, "truncation"), default=1.0, help="0-1 (default 1)"
            )


def run(options: argparse.Namespace) -> int:
    from retinagan.data.prepare import read_manifest

    data = Path(options.data) if options.what != "sheet" else None
    if data:
        read_manifest(data)  # a wrong folder is told before anything is loaded or written
    evaluation = importlib.import_module(f"retinagan.evaluation.{options.what}")
    more = {name: getattr(options, name, None) for name in ("inception", "grader", "side", "truncation")}
    more = {name: value for name, value in more.items() if value is not None}
    if getattr(options, "generated", None):
        more["generated"] = model_folder(options.generated)
    model, out = model_folder(options.model or DEFAULT_MODEL), new_folder(options.out)
    report = evaluation.evaluate(data, model, out, options.count, progress=not options.quiet, **more)
    print(report.text())
    print(f"figures: {out}")
    return 0
