"""``retinagan bench``: how long everything takes on this machine."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from retinagan.bench.names import TITLES, chosen_rows
from retinagan.cli.arguments import add_command, add_quiet, number
from retinagan.resources import DEFAULT_MODEL, model_folder


def add(commands: Any) -> None:
    parser = add_command(
        commands,
        "bench",
        run,
        "Measure how long maps, photographs and strokes take on this machine.",
        "Goes in rounds over all rows, so that what disturbs the machine disturbs all alike, and tells medians with\n"
        "quartiles and each time as a multiple of what its multiply-adds take at the rate of a large convolution,\n"
        "measured in the same rounds. About a minute and a half on two quiet cores, several on busy ones;\n"
        "--original and --browser take minutes more.\n\n"
        "rows:\n" + "\n".join(f"  {name:24}{title}" for name, title in TITLES.items()),
        "--json bench.json",
        "--only photo,stroke --runs 15",
    )
    parser.add_argument("--model", help="model folder (default: checkpoints/default)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 … (default auto)")
    parser.add_argument("--runs", type=number(int, 1, 1000, "runs"), default=5, help="rounds (default 5)")
    parser.add_argument("--only", metavar="NAME,…", help="these rows alone")
    parser.add_argument("--original", action="store_true", help="the original's architecture too, with random weights")
    parser.add_argument("--browser", action="store_true", help="the app in a real browser too, from a checkout")
    parser.add_argument("--json", metavar="FILE", help="write all figures and times to this file")
    add_quiet(parser)


def run(options: argparse.Namespace) -> int:
    import dataclasses
    import json

    from tqdm import tqdm

    from retinagan.bench.browser import check_browser, measure_app
    from retinagan.bench.run import run as measured
    from retinagan.writing import write_atomically

    wanted = chosen_rows(options.only, options.original)
    if options.browser:
        check_browser()
    file = Path(options.json) if options.json else None
    if file is not None and (file.is_dir() or not file.absolute().parent.is_dir()):
        raise ValueError(f"--json is {options.json!r}; it must be a file in a folder that is there")
    folder = str(model_folder(options.model or DEFAULT_MODEL))
    with tqdm(bar_format="{l_bar}{bar}| {elapsed}", disable=True if options.quiet else None) as bar:

        def progress(name: str, done: int, total: int) -> None:
            bar.total, bar.n = total, done
            bar.set_description(name)

        report = measured(folder, options.device, options.runs, wanted, progress)
        if options.browser:
            bar.set_description("the app in a browser")
            report = dataclasses.replace(report, browser=measure_app(folder))
    print(report.text())
    if file is not None:
        write_atomically(file, json.dumps(report.figures(), indent=1, ensure_ascii=False) + "\n")
    return 0
