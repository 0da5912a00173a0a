"""``retinagan fit-eye``: what a set of weights needs new eyes corrected by."""

from __future__ import annotations

import argparse
from typing import Any

from retinagan.cli.arguments import add_command, add_fit, number


def add(commands: Any) -> None:
    parser = add_command(
        commands,
        "fit-eye",
        run,
        "Fit the corrections of new eyes to a model's photo weights.",
        "A photo generator broadens vessels and smooths texture in its own way. Photographs of the training eyes'\n"
        "maps are held against the real ones, and what new eyes are drawn with is corrected until both show the\n"
        "same vessels, fovea, texture and colours. Prepare the data as for training, with --pseudo-label if that\n"
        "had it: eyes that somebody annotated or that are healthy are clearer than others, and texture and\n"
        "contrast are fitted to what is there. Prints the corrections with their scatter, and the figures real,\n"
        "before and after; writes the corrections into MODEL/photos.safetensors. A stopped fit goes on where it\n"
        "was. With 240 eyes at a side of 512 and 3 rounds about 1200 photographs are made: 20 to 40 minutes on one\n"
        "core.",
        "--data data/idrid512 --model checkpoints/mine --eyes 240",
    )
    add_fit(parser, "prepared folder of the model's size", "photos.safetensors")
    parser.add_argument(
        "--out", default="runs/fit-eye", help="folder of what was measured and fit-eye.json (default: runs/fit-eye)"
    )
    parser.add_argument(
        "--eyes",
        type=number(int, 3, 10_000, "eyes"),
        default=240,
        help="photographs a state, 3 to 10000; maps are dealt out in turn (default 240)",
    )
    parser.add_argument(
        "--rounds",
        type=number(int, 0, 20, "rounds"),
        default=3,
        help="steps of the fit at most, 0 to 20; 0 only measures (default 3)",
    )


def run(options: argparse.Namespace) -> int:
    from retinagan.fitting.eye import fit_eye, table
    from retinagan.resources import model_folder

    fit = fit_eye(
        options.data,
        model_folder(options.model),
        options.out,
        options.eyes,
        options.rounds,
        write=not options.dry_run,
        device=options.device,
        progress=not options.quiet,
    )
    print(table(fit))
    return 0
