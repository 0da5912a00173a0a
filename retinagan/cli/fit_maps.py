"""``retinagan fit-maps``: how a map generator's maps are drawn, and which are kept."""

from __future__ import annotations

import argparse
from typing import Any

from retinagan.cli.arguments import add_command, add_fit, number


def add(commands: Any) -> None:
    parser = add_command(
        commands,
        "fit-maps",
        run,
        "Fit how maps are drawn, and which are kept, to a model's map weights.",
        "Maps of each grade are drawn and held against the real training maps of that grade. First a number for\n"
        "each lesion is found that makes lesions as extensive as real ones when it is added to their\n"
        "logits. Then a logistic regression on what maps hold tells how much more often a real map looks so;\n"
        "sampling keeps a map with a probability proportional to that, and draws another where it is not kept.\n"
        "Prints the numbers and the medians of real, drawn and kept maps; writes both into\n"
        "MODEL/maps.safetensors. Some minutes on one core.",
        "--data data/idrid1024 --model checkpoints/mine",
    )
    add_fit(parser, "prepared folder of the model's size or larger", "maps.safetensors")
    parser.add_argument(
        "--count", type=number(int, 20, 100_000, "count"), default=400, help="maps a grade, 20 to 100000 (default 400)"
    )


def run(options: argparse.Namespace) -> int:
    from retinagan.fitting.maps import fit_maps, table
    from retinagan.resources import model_folder

    fit = fit_maps(
        options.data,
        model_folder(options.model),
        options.count,
        write=not options.dry_run,
        device=options.device,
        progress=not options.quiet,
    )
    print(table(fit))
    return 0
