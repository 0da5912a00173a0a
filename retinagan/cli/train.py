"""``retinagan train``: a prepared folder → a training run."""

from __future__ import annotations

import argparse
import json
from typing import Any

from retinagan.cli.arguments import add_command, add_quiet, number
from retinagan.resources import CONFIGS
from retinagan.training.settings import TASKS


def add(commands: Any) -> None:
    parser = add_command(
        commands,
        "train",
        run,
        "Train a network on a prepared folder.",
        "RUN holds config.yaml, log.jsonl, tensorboard/, sheets/ and the two newest states.\n"
        "Needs an end: --steps, --minutes, or training.steps in the configuration.",
        "photos --data data/idrid512 --run runs/photos --minutes 60",
        "maps --run runs/maps --steps 20000 --resume --set training.batch=8",
    )
    parser.add_argument("network", choices=TASKS, help="which network")
    parser.add_argument(
        "--run", dest="run_dir", required=True, metavar="RUN", help="run folder, for example runs/photos"
    )
    parser.add_argument("--config", help="YAML file (default: configs/default-NETWORK.yaml)")
    parser.add_argument("--data", help="prepared folder (default: training.data of the configuration)")
    parser.add_argument("--steps", type=number(int, 1, None, "steps"), help="steps in all, 1 and more")
    parser.add_argument(
        "--minutes", type=number(float, 0.01, None, "minutes"), help="minutes of this call, 0.01 and more"
    )
    parser.add_argument("--resume", action="store_true", help="go on from the run's newest state")
    parser.add_argument(
        "--devices", type=number(int, 1, 64, "devices"), default=1, help="GPUs or CPU processes, 1-64 (default 1)"
    )
    parser.add_argument("--accelerator", choices=("auto", "cpu", "cuda"), default="auto", help="default: auto")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change the configuration: section.key=value; repeatable",
    )
    add_quiet(parser)


def run(options: argparse.Namespace) -> int:
    from retinagan.device import keep_freed_memory
    from retinagan.training.loop import train
    from retinagan.training.settings import load_config, task_for

    overrides = list(options.set)
    if options.data is not None:
        overrides.append(f"training.data={json.dumps(str(options.data))}")
    config = load_config(options.config or CONFIGS / f"default-{options.network}.yaml", overrides)
    if config["task"] != options.network:
        raise ValueError(f"{options.config} trains {config['task']!r}, not {options.network!r}")
    keep_freed_memory()
    result = train(
        task_for(config), config, options.run_dir, steps=options.steps, max_minutes=options.minutes,
        resume=options.resume, devices=options.devices, accelerator=options.accelerator, progress=not options.quiet,
    )  # fmt: skip
    print(f"step {result.step} ({result.reason}): {result.state}")
    return 0
