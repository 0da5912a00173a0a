"""What the command line accepts: its commands, options, help texts and the checks of their values."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import NoReturn

from retinagan.seeds import MAX_SEED
from retinagan.training.settings import TASKS

MAX_SEEDS = 1_000_000
EVALUATIONS = ("maps", "photos", "segmenter", "reference")
_PROGRAM = "python -m retinagan"


class _Parser(argparse.ArgumentParser):
    """argparse, with one line instead of usage and line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"retinagan: error: {' '.join(message.split())} (see {self.prog} --help)\n")


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


def _argument(check):
    """A parser for argparse whose ValueError reaches the user in its own words."""

    def parse(text: str):
        try:
            return check(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return parse


def _number(kind: type, low: float, high: float | None, name: str):
    """A number of ``low`` to ``high``; ``high`` None: no upper limit."""

    def check(text: str):
        limits = f"{low} to {high}" if high is not None else f"{low} and more"
        try:
            value = kind(text)
        except ValueError:
            raise ValueError(f"{name} is {text!r}; allowed are {limits}") from None
        if not low <= value <= (float("inf") if high is None else high) or value == float("inf"):
            raise ValueError(f"{name} is {text}; allowed are {limits}")
        return value

    return _argument(check)


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands; ``options.command`` is the chosen one's name."""
    parser = _Parser(
        prog=_PROGRAM,
        description="Fundus photographs from retinopathy grades and lesion maps. Synthetic, not for diagnosis.",
        epilog=f"example: {_PROGRAM} sample --grade 3 --seeds 0-4 --photos 2 --out samples",
    )
    parser.add_argument("--version", action="version", version=_version())
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True, parser_class=_Parser)
    _add_prepare(commands)
    _add_train(commands)
    _add_sample(commands)
    _add_render(commands)
    _add_evaluate(commands)
    _add_export(commands)
    _add_import_original(commands)
    _add_info(commands)
    return parser


def _version() -> str:
    from retinagan import __version__

    return f"retinagan {__version__}"


def _command(commands, name: str, summary: str, details: str, example: str) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        name, help=summary, description=f"{summary}\n\n{details}", epilog=f"example:\n  {_PROGRAM} {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.set_defaults(command=name)
    return parser


def _add_prepare(commands) -> None:
    parser = _command(
        commands, "prepare", "Make square full-circle pairs of photograph and map from a data set.",
        "Writes images/, maps/, vessels/, grades.csv and manifest.csv. Running it again keeps what is already right.\n"
        "Ends with 1 if some photographs failed; they are listed on stderr.",
        "prepare IDRiD --out data/idrid512 --size 512 --workers 2\n"
        f"  {_PROGRAM} prepare IDRiD --out data/idrid512 --pseudo-label checkpoints/default",
    )  # fmt: skip
    parser.add_argument(
        "data", help="the data set's folder: IDRiD, FGADR Seg-set, or a plain folder with images/ and maps/"
    )
    parser.add_argument("--out", required=True, help="folder to write")
    parser.add_argument("--layout", choices=("auto", "idrid", "fgadr", "folder"), default="auto", help="default: auto")
    parser.add_argument(
        "--size", type=_number(int, 32, 2048, "size"), default=512, help="side in pixels, 32-2048 (default 512)"
    )
    parser.add_argument("--workers", type=_number(int, 1, 64, "workers"), default=1, help="processes, 1-64 (default 1)")
    parser.add_argument("--include-unlabelled", action="store_true", help="also photographs without a map")
    parser.add_argument(
        "--pseudo-label", metavar="SEGMENTER",
        help="predict maps of the photographs without one, with this segmenter: a checkpoint, or a model folder that "
        "holds segmenter.safetensors; takes photographs without a map too",
    )  # fmt: skip
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def _add_train(commands) -> None:
    parser = _command(
        commands, "train", "Train a network on a prepared folder.",
        "RUN holds config.yaml, log.jsonl, tensorboard/, sheets/ and the two newest states.\n"
        "Needs an end: --steps, --minutes, or training.steps in the configuration.",
        "train photos --data data/idrid512 --run runs/photos --minutes 60\n"
        f"  {_PROGRAM} train maps --run runs/maps --steps 20000 --resume --set training.batch=8",
    )  # fmt: skip
    parser.add_argument("network", choices=TASKS, help="which network")
    parser.add_argument(
        "--run", dest="run_dir", required=True, metavar="RUN", help="run folder, for example runs/photos"
    )
    parser.add_argument("--config", help="YAML file (default: configs/default-NETWORK.yaml)")
    parser.add_argument("--data", help="prepared folder (default: training.data of the configuration)")
    parser.add_argument("--steps", type=_number(int, 1, None, "steps"), help="steps in all, 1 and more")
    parser.add_argument(
        "--minutes", type=_number(float, 0.01, None, "minutes"), help="minutes of this call, 0.01 and more"
    )
    parser.add_argument("--resume", action="store_true", help="go on from the run's newest state")
    parser.add_argument(
        "--devices", type=_number(int, 1, 64, "devices"), default=1, help="GPUs or CPU processes, 1-64 (default 1)"
    )
    parser.add_argument("--accelerator", choices=("auto", "cpu", "cuda"), default="auto", help="default: auto")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change the configuration: section.key=value; repeatable",
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", required=True, help="folder to write; files of the same names are replaced")
    parser.add_argument("--model", help="model folder (default: checkpoints/default)")
    parser.add_argument(
        "--size", type=_number(int, 1, 8192, "size"),
        help="side of the photographs: the model's own, or twice that with its last stage (default: the model's own)",
    )  # fmt: skip
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 … (default auto)")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def _add_sample(commands) -> None:
    parser = _command(
        commands, "sample", "Sample lesion maps of a grade, with photographs if asked.",
        "Grades: 0 no retinopathy, 1 mild, 2 moderate, 3 severe NPDR, 4 proliferative.\n"
        "Writes map-gGRADE-sSEED.png and, with --photos or --styles, photo-gGRADE-sSEED-ySTYLE.png.\n"
        "The same seeds give the same pixels on every run, here, in the app and in Python.",
        "sample --grade 3 --seeds 0,3,10-19 --photos 2 --truncation 0.7 --out samples",
    )  # fmt: skip
    parser.add_argument("--grade", type=_number(int, 0, 4, "grade"), required=True, help="ICDR grade, 0-4")
    parser.add_argument(
        "--seeds", type=_argument(parse_seeds), required=True, help="map seeds, 0 to 2^63-1: 7, or 0,3,10-19"
    )
    parser.add_argument(
        "--truncation", type=_number(float, 0, 1, "truncation"), default=1.0,
        help="0-1; below 1: fewer oddities, less variety (default 1)",
    )  # fmt: skip
    many = parser.add_mutually_exclusive_group()
    many.add_argument(
        "--photos", type=_number(int, 0, 1000, "photos"), default=0,
        help="photographs of each map, 0-1000, with the style seeds s, s + 1000 … of map seed s, as in the app (default 0)",
    )  # fmt: skip
    many.add_argument(
        "--styles", type=_argument(parse_seeds), help="style seeds of the photographs instead, written as --seeds"
    )
    _add_model(parser)


def _add_render(commands) -> None:
    parser = _command(
        commands, "render", "Render photographs of lesion maps.",
        "A map is a lossless 8-bit PNG, sides of 16 to 4096 pixels, in the palette's seven colours; it is padded and\n"
        "scaled to the model's size without inventing classes. Writes MAP-ySEED.png.",
        "render drawing.png samples/map-g3-s7.png --seeds 0-3 --out photos",
    )  # fmt: skip
    parser.add_argument("maps", nargs="+", metavar="MAP.png", help="lesion maps")
    parser.add_argument(
        "--seeds",
        type=_argument(parse_seeds),
        default=[0],
        help="style seeds, 0 to 2^63-1: 7, or 0,3,10-19 (default 0)",
    )
    _add_model(parser)


def _add_evaluate(commands) -> None:
    parser = _command(
        commands, "evaluate", "Measure how good a model is: its maps, its photographs or its segmenter.",
        "maps: what generated lesion maps of each grade hold against real ones, and whether they copy them.\n"
        "photos: how far photographs of held-out maps are from real ones.\n"
        "segmenter: how well lesions are found in photographs.\n"
        "reference: how well a reference photograph gives its colour and its vessels.\n"
        "Prints a table; writes OUT/NAME.json and figures, which may show the data set's own maps and photographs.",
        "evaluate maps --data data/idrid512 --count 200 --out runs/evaluation",
    )  # fmt: skip
    parser.add_argument("what", choices=EVALUATIONS, help="what to evaluate")
    parser.add_argument("--data", required=True, help="prepared folder")
    parser.add_argument("--model", help="model folder (default: checkpoints/default)")
    parser.add_argument("--out", default="runs/evaluation", help="folder to write (default: runs/evaluation)")
    parser.add_argument(
        "--count", type=_number(int, 1, 100_000, "count"),
        help="how many: maps a grade, photographs a map … (default: enough for steady figures)",
    )  # fmt: skip
    parser.add_argument(
        "--inception", metavar="FILE",
        help="photos: FID and KID too, with Inception's weights as safetensors (see retinagan.evaluation.feature_space)",
    )  # fmt: skip
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def _add_export(commands) -> None:
    parser = _command(
        commands, "export", "Write the averaged weights of a training run as they are shipped.",
        "One safetensors file a network, with its configuration and the facts of its training.",
        "export runs/photos --out checkpoints/mine",
    )  # fmt: skip
    parser.add_argument("run_dir", metavar="RUN", help="a training run's folder")
    parser.add_argument("--out", required=True, help="model folder to write to")
    parser.add_argument(
        "--fact", action="append", default=[], metavar="KEY=TEXT",
        help="a fact that the files shall tell, such as data or licence; may be given several times",
    )  # fmt: skip


def _add_import_original(commands) -> None:
    parser = _command(
        commands, "import-original", "Convert the original's TensorFlow checkpoints to a model.",
        "PREFIX is a checkpoint without its .index and .data-… endings, or the published .zip, which stays packed.\n"
        "TensorFlow is not needed. The folder appears whole or not at all; use it with --model.",
        "import-original --maps cstylegan_256x256.ckpt --photos gaugan_1024x1024.ckpt --out checkpoints/original",
    )  # fmt: skip
    parser.add_argument(
        "--maps",
        required=True,
        metavar="PREFIX",
        help="the conditional StyleGAN's: cstylegan_256x256.ckpt or cstylegan.zip",
    )
    parser.add_argument(
        "--photos", required=True, metavar="PREFIX", help="the GauGAN's: gaugan_1024x1024.ckpt or gaugan.zip"
    )
    parser.add_argument("--out", required=True, help="model folder to write; new or empty")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def _add_info(commands) -> None:
    parser = _command(
        commands, "info", "Say what a checkpoint is: network, size, configuration, training facts, SHA-256.",
        "Only the file's header is read.", "info checkpoints/default",
    )  # fmt: skip
    parser.add_argument("path", help="a model folder or a .safetensors file")
    parser.add_argument("--json", action="store_true", help="as JSON")
