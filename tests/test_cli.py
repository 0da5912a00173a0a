"""The command line, on tiny networks with random weights and drawn data."""

from __future__ import annotations

import importlib
import inspect
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from retinagan import checkpoints
from retinagan.cli import build_parser, main
from retinagan.cli.arguments import parse_seeds
from retinagan.cli.evaluate import EVALUATIONS
from retinagan.data.prepare import read_manifest
from retinagan.files.maps import encode_map_png, read_map_png
from retinagan.files.provenance import map_digest, read_png
from retinagan.maps.labels import EX, HE, MA, SE, empty_map
from retinagan.models.superres import SuperResolver, SuperResolverConfig
from retinagan.pipeline import RetinaGAN
from retinagan.resources import DEFAULT_MODEL
from tests.helpers import TINY_SIZE, tiny_model
from tests.synthetic_eyes import write_fgadr, write_folder, write_idrid

COMMANDS = tuple(next(action for action in build_parser()._actions if action.choices).choices)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("models") / "tiny")


def pixels(path) -> np.ndarray:
    return np.asarray(Image.open(path))


def fails(capsys, *argv) -> str:
    """Run a command that must fail with exit code 2 and one line on stderr; returns the line."""
    try:
        code = main([str(a) for a in argv])
    except SystemExit as stop:
        code = stop.code
    captured = capsys.readouterr()
    assert code == 2 and captured.out == ""
    assert captured.err.startswith("retinagan: error: ") and captured.err.count("\n") == 1, captured.err
    return captured.err


# --- seeds ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, seeds",
    [("7", [7]), ("0,3,10-13", [0, 3, 10, 11, 12, 13]), (" 1 , 2-2,1", [1, 2]), (str(2**63 - 1), [2**63 - 1])],
)
def test_seeds_are_read(text, seeds):
    assert parse_seeds(text) == seeds


@settings(deadline=None)
@given(st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=8, unique=True))
def test_lists_of_seeds_are_read_in_order(seeds):
    assert parse_seeds(",".join(map(str, seeds))) == seeds


@pytest.mark.parametrize(
    "text, message",
    [
        ("-1", "seed -1 is negative; allowed are 0 to 9223372036854775807"),
        ("3,-2-5", "seed -2-5 is negative"),
        (str(2**63), "too large"),
        ("9" * 30, "no seed"),
        ("9-3", "range 9-3 falls; write it as 3-9"),
        ("0-1000000", "more than 1,000,000 seeds"),
        ("", "no seed"),
        ("1,,2", "no seed"),
        ("one", "'one' in 'one' is no seed"),
        ("1.5", "no seed"),
        ("٣", "no seed"),
    ],
)
def test_wrong_seeds_are_refused(text, message):
    with pytest.raises(ValueError, match=message):
        parse_seeds(text)


# --- help -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
def test_help_explains_every_option_and_has_an_example(command, capsys):
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    text = capsys.readouterr().out
    assert stop.value.code == 0 and f"example:\n  python -m retinagan {command}" in text
    parser = next(a for a in build_parser()._actions if a.choices).choices[command]
    assert all(action.help for action in parser._actions)


@pytest.mark.parametrize("command", COMMANDS)
def test_examples_in_the_help_are_valid(command, capsys):
    parser = next(a for a in build_parser()._actions if a.choices).choices[command]
    for line in parser.epilog.splitlines():
        if "python -m retinagan" in line:
            options = build_parser().parse_args(line.split()[3:])
            assert options.command == command


def test_module_runs_as_a_program():
    done = subprocess.run([sys.executable, "-m", "retinagan", "--version"], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith("retinagan 0.")
    done = subprocess.run([sys.executable, "-m", "retinagan", "info", "nowhere"], capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "no checkpoint at nowhere" in done.stderr


# --- demo -----------------------------------------------------------------------------------------------------------


def test_demo_starts_the_app_that_is_shipped(model, monkeypatch, capsys):
    started = []
    monkeypatch.setattr("os.execve", lambda *arguments: started.append(arguments))
    monkeypatch.setattr("subprocess.call", lambda command, env: 3)
    assert main(["demo", "--port", "8600", "--model", str(model)]) == 3
    program, command, environment = started[0]
    assert program == command[0] == sys.executable and command[1:4] == ["-m", "streamlit", "run"]
    assert Path(command[4]).name == "web_demo.py" and Path(command[4]).is_file() and "8600" in command
    assert environment["RETINAGAN_MODEL"] == str(model)
    assert capsys.readouterr().out == "RetinaGAN: http://localhost:8600\n"


def test_demo_says_what_it_needs(monkeypatch, capsys):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "pip install 'retinagan[app]'" in fails(capsys, "demo")
    assert "port is 0; allowed are 1 to 65535" in fails(capsys, "demo", "--port", "0")


# --- sample, render, info -------------------------------------------------------------------------------------------


def test_sample_writes_what_python_gives(model, tmp_path, capsys):
    arguments = ["--grade", "3", "--seeds", "7,0", "--photos", "2", "--truncation", "0.7"]
    assert main(["sample", *arguments, "--model", str(model), "--out", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"2 maps, 4 photographs: {tmp_path}\n"
    names = {"map-g3-s0", "map-g3-s7"} | {f"photo-g3-s{s}-y{y}" for s in (0, 7) for y in (s, s + 1000)}
    assert {p.stem for p in tmp_path.iterdir()} == names
    gan = RetinaGAN.from_pretrained(model, "cpu")
    maps = gan.sample_maps(3, [0, 7], 0.7)
    for label_map, seed in zip(maps, (0, 7), strict=True):
        assert np.array_equal(read_map_png(tmp_path / f"map-g3-s{seed}.png", TINY_SIZE), label_map)
        styles = [seed, seed + 1000]  # as in the app
        for style, photo in zip(styles, gan.render(np.stack([label_map] * 2), styles), strict=True):
            assert np.array_equal(pixels(tmp_path / f"photo-g3-s{seed}-y{style}.png"), photo)


def test_sampled_files_say_what_made_them(model, tmp_path):
    arguments = ["--grade", "1", "--seeds", "5", "--styles", "9", "--model", str(model), "--out", str(tmp_path)]
    assert main(["sample", *arguments]) == 0
    made = read_png((tmp_path / "map-g1-s5.png").read_bytes())
    assert (made.kind, made.source, made.grade, made.map_seed, made.truncation) == ("map", "sampled", 1, 5, 1.0)
    assert made.map_sha256 == map_digest(read_map_png(tmp_path / "map-g1-s5.png", None))
    assert made.model == "tiny" and made.checkpoints["maps"] == checkpoints.sha256(model / "maps.safetensors")
    photo = read_png((tmp_path / "photo-g1-s5-y9.png").read_bytes())
    assert (photo.kind, photo.style_seed, photo.map_sha256) == ("photograph", 9, made.map_sha256)


def test_render_of_a_sampled_map_gives_its_photographs(model, tmp_path, capsys):
    arguments = ["--model", str(model), "--out", str(tmp_path)]
    assert main(["sample", "--grade", "2", "--seeds", "4", "--styles", "0,3", *arguments]) == 0
    assert main(["render", str(tmp_path / "map-g2-s4.png"), "--seeds", "0,3", *arguments]) == 0
    for style in (0, 3):
        rendered = tmp_path / f"map-g2-s4-y{style}.png"
        assert rendered.read_bytes() == (tmp_path / f"photo-g2-s4-y{style}.png").read_bytes()


def test_render_scales_drawn_maps(model, tmp_path):
    label_map = empty_map(2 * TINY_SIZE)
    label_map[60:68, 60:68] = HE
    (tmp_path / "drawn.png").write_bytes(encode_map_png(label_map))
    assert main(["render", str(tmp_path / "drawn.png"), "--model", str(model), "--out", str(tmp_path)]) == 0
    photo = tmp_path / "drawn-y0.png"
    assert pixels(photo).shape == (TINY_SIZE, TINY_SIZE, 3)
    assert read_png(photo.read_bytes()).source == "uploaded"


def test_photographs_of_twice_the_side(model, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = [
        "sample",
        "--grade",
        "2",
        "--seeds",
        "4",
        "--photos",
        "1",
        "--size",
        str(2 * TINY_SIZE),
        "--out",
        str(out),
    ]
    assert "no superres.safetensors" in fails(capsys, *arguments, "--model", model) and not out.exists()
    folder = tiny_model(tmp_path / "large")
    network = SuperResolver(SuperResolverConfig(size=2 * TINY_SIZE, channels=4, blocks=1, fine_channels=2))
    checkpoints.save(folder / "superres.safetensors", "superres", network, {})
    assert main([*arguments, "--model", str(folder)]) == 0
    photo = out / "photo-g2-s4-y4.png"
    assert pixels(photo).shape == (2 * TINY_SIZE, 2 * TINY_SIZE, 3)
    assert set(read_png(photo.read_bytes()).checkpoints) == {"maps", "photos", "superres"}
    again = ["render", str(out / "map-g2-s4.png"), "--seeds", "4", "--size", str(2 * TINY_SIZE), "--out", str(out)]
    assert main([*again, "--model", str(folder)]) == 0
    assert np.array_equal(pixels(out / "map-g2-s4-y4.png"), pixels(photo))


def test_info_of_folder_and_file(model, capsys):
    assert main(["info", str(model)]) == 0
    text = capsys.readouterr().out
    assert "maps.safetensors: maps, " in text and "photos.safetensors: photos, " in text
    assert "facts.data: none (random weights for tests)" in text and "config.latent_dim: 8" in text
    assert main(["info", str(model / "maps.safetensors"), "--json"]) == 0
    (described,) = json.loads(capsys.readouterr().out)
    assert described["network"] == "maps" and described["sha256"] == checkpoints.sha256(model / "maps.safetensors")


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("--grade", "5", "--seeds", "1"), "grade is 5; allowed are 0 to 4"),
        (("--grade", "-1", "--seeds", "1"), "grade is -1; allowed are 0 to 4"),
        (("--grade", "two", "--seeds", "1"), "grade is 'two'"),
        (("--grade", "2", "--seeds", "-1"), "seed -1 is negative"),
        (("--grade", "2", "--seeds", "-1,4"), "seed -1 is negative"),
        (("--grade", "2", "--seeds", "1", "--styles", "-3"), "seed -3 is negative"),
        (("--grade", "2", "--seeds", "1", "--truncation", "1.1"), "truncation is 1.1; allowed are 0 to 1"),
        (("--grade", "2", "--seeds", "1", "--truncation", "nan"), "truncation is nan"),
        (("--grade", "2", "--seeds", "1", "--photos", "1", "--styles", "1"), "not allowed with"),
        (("--grade", "2"), "--seeds"),
        (("--grade", "2", "--seeds", "1", "--device", "toaster"), "device is 'toaster'"),
        (("--grade", "2", "--seeds", "1", "--model", "no/where"), "no model folder at no/where"),
    ],
)
def test_wrong_sample_arguments(model, tmp_path, capsys, arguments, message):
    assert message in fails(capsys, "sample", "--model", model, "--out", tmp_path / "out", *arguments)


def test_wrong_maps_name_the_file_and_nothing_is_written(model, tmp_path, capsys):
    good, bad = tmp_path / "good.png", tmp_path / "bad.png"
    good.write_bytes(encode_map_png(empty_map(TINY_SIZE)))
    Image.new("L", (64, 64)).save(bad)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "good.png").write_bytes(good.read_bytes())
    tail = ("--model", model, "--out", tmp_path / "out")
    assert f"{bad}: the PNG is greyscale" in fails(capsys, "render", good, bad, *tail)
    assert "two maps are called 'good'" in fails(capsys, "render", good, tmp_path / "sub" / "good.png", *tail)
    assert "no map at" in fails(capsys, "render", tmp_path / "none.png", *tail)
    assert not (tmp_path / "out").exists()


def test_damaged_checkpoints_are_named(model, tmp_path, capsys):
    broken = tiny_model(tmp_path / "broken")
    path = broken / "photos.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    assert "photos.safetensors is not a whole safetensors file" in fails(
        capsys, "sample", "--grade", 0, "--seeds", 0, "--out", tmp_path, "--model", broken
    )
    assert "not a whole safetensors file" in fails(capsys, "info", path)
    assert "holds no .safetensors file" in fails(capsys, "info", tmp_path)


def test_no_command_and_an_unknown_one(capsys):
    assert "required: COMMAND" in fails(capsys)
    assert "invalid choice: 'dream'" in fails(capsys, "dream")


def test_unexpected_errors_and_ctrl_c_end_without_a_traceback(monkeypatch, capsys):
    def stop(path):
        raise KeyboardInterrupt

    def break_down(path):
        raise KeyError("inner")

    monkeypatch.setattr(checkpoints, "describe", break_down)
    assert "unexpected KeyError: 'inner'" in fails(capsys, "info", "x.safetensors")
    monkeypatch.setattr(checkpoints, "describe", stop)
    assert main(["info", "x.safetensors"]) == 130
    assert capsys.readouterr().err == "retinagan: error: interrupted\n"


# --- prepare --------------------------------------------------------------------------------------------------------


def test_prepare_tells_layouts_apart(tmp_path, capsys):
    out = tmp_path / "out"
    for write, ids in (
        (write_idrid, {"seg-01", "seg-02", "grade-001"}),
        (write_fgadr, {"fgadr-0001_1", "fgadr-0002_1"}),
        (lambda root: write_folder(root, empty_map(64)), {"a"}),
    ):
        root = write(tmp_path / write.__name__.strip("<>"))
        before = set(read_manifest(out)) if out.exists() else set()
        assert main(["prepare", str(root), "--out", str(out), "--size", "64", "--quiet"]) == 0
        assert capsys.readouterr().out == f"{len(ids)} prepared, 0 already there, 0 failed: {out}\n"
        assert set(read_manifest(out)) - before == ids


def test_prepare_can_take_unlabelled_photographs(tmp_path, capsys):
    root, out = write_idrid(tmp_path / "in"), tmp_path / "out"
    assert main(["prepare", str(root), "--out", str(out), "--size", "64", "--quiet", "--include-unlabelled"]) == 0
    assert len(read_manifest(out)) == 5


def test_prepare_ends_with_1_and_names_what_failed(tmp_path, capsys):
    root, out = write_fgadr(tmp_path / "in"), tmp_path / "out"
    (root / "Original_Images" / "0002_1.png").write_bytes(b"no picture")
    assert main(["prepare", str(root), "--out", str(out), "--size", "64", "--quiet"]) == 1
    captured = capsys.readouterr()
    assert captured.out == f"1 prepared, 0 already there, 1 failed: {out}\n"
    assert captured.err.startswith("failed: fgadr-0002_1: ") and captured.err.count("\n") == 1


def test_prepare_refuses_what_is_no_data_set(tmp_path, capsys):
    assert "no known data set" in fails(capsys, "prepare", tmp_path, "--out", tmp_path / "out")
    (tmp_path / "images").mkdir()
    assert "holds no photographs" in fails(capsys, "prepare", tmp_path, "--out", tmp_path / "out")
    assert "does not exist" in fails(capsys, "prepare", tmp_path / "none", "--out", tmp_path / "out")
    assert "size is 8; allowed are 32 to 2048" in fails(capsys, "prepare", tmp_path, "--out", "x", "--size", 8)


def test_prepare_pseudo_labels_what_has_no_map(tmp_path, monkeypatch, capsys):
    class Report:
        def summary(self):
            return "2 maps predicted"

    called = []
    pseudo = SimpleNamespace(pseudo_label=lambda *args, **kwargs: called.append((args, kwargs)) or Report())
    monkeypatch.setitem(sys.modules, "retinagan.data.pseudo", pseudo)
    root, out, segmenter = write_idrid(tmp_path / "in"), tmp_path / "out", tmp_path / "segmenter.safetensors"
    base = ["prepare", str(root), "--out", str(out), "--size", "64", "--quiet", "--pseudo-label", str(segmenter)]
    assert "no segmenter at" in fails(capsys, *base)
    assert not out.exists()
    segmenter.write_bytes(b"")
    assert main(base) == 0
    assert capsys.readouterr().out == f"5 prepared, 0 already there, 0 failed: {out}\n2 maps predicted\n"
    assert called == [((out, segmenter), {"progress": False})]


# --- evaluate -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", EVALUATIONS)
def test_evaluate_hands_over_and_prints_the_report(what, tiny_config, tmp_path, monkeypatch, capsys):
    called = []

    def evaluate(*args, **kwargs):
        called.append((args, kwargs))
        return SimpleNamespace(text=lambda: "n 3")

    monkeypatch.setitem(sys.modules, f"retinagan.evaluation.{what}", SimpleNamespace(evaluate=evaluate))
    data, out = tmp_path / "data", tmp_path / "out"
    base = ["evaluate", what, "--out", str(out), "--quiet", *(["--data", str(data)] if what != "sheet" else [])]
    assert main([*base, "--model", "mine", "--count", "9"]) == 0
    assert capsys.readouterr().out.endswith(f"n 3\nfigures: {out}\n")
    assert main(base) == 0
    own = {"side": 256, "truncation": 1.0} if what == "sheet" else {}
    given = None if what == "sheet" else data
    assert called == [
        ((given, Path("mine"), out, 9), {"progress": False, **own}),
        ((given, DEFAULT_MODEL, out, None), {"progress": False, **own}),
    ]
    capsys.readouterr()
    if what == "photos":
        assert main([*base, "--inception", "weights.safetensors"]) == 0
        assert called[-1][1] == {"progress": False, "inception": Path("weights.safetensors")}
    else:
        assert "unrecognized arguments: --inception" in fails(capsys, *base, "--inception", "weights.safetensors")


@pytest.mark.parametrize("what", EVALUATIONS)
def test_evaluations_are_there_and_alike(what):
    module = importlib.import_module(f"retinagan.evaluation.{what}")
    names = list(inspect.signature(module.evaluate).parameters)
    assert names[:5] == ["data", "model", "out", "count", "progress"]


def test_wrong_evaluate_arguments(tmp_path, capsys):
    out = tmp_path / "out"
    assert "python -m retinagan prepare" in fails(capsys, "evaluate", "maps", "--data", tmp_path / "no", "--out", out)
    assert "invalid choice: 'taste'" in fails(capsys, "evaluate", "taste", "--data", tmp_path)
    assert "count is 0; allowed are 1 to 100000" in fails(capsys, "evaluate", "maps", "--data", tmp_path, "--count", 0)
    assert not out.exists()


# --- train, export --------------------------------------------------------------------------------------------------


@pytest.fixture
def tiny_config(tmp_path):
    """A configuration of the map generator that trains in a moment, and a prepared folder for it."""
    rows = ["id,grade,eye"]
    for grade, lesion in ((0, None), (2, EX), (3, HE), (4, SE)):
        label_map = empty_map(64)
        if lesion is not None:
            label_map[30:36, 40:46] = lesion
            label_map[45:47, [30, 36, 50]] = MA
        root = write_folder(tmp_path / "in", label_map)
        for kind in ("images", "maps"):
            (root / kind / "a.png").rename(root / kind / f"e{grade}.png")
        rows.append(f"e{grade},{grade},idrid:seg-01")  # an eye of the training split
    (root / "grades.csv").write_text("\n".join(rows))
    assert main(["prepare", str(root), "--out", str(tmp_path / "data"), "--size", "64", "--quiet"]) == 0
    config = {
        "task": "maps",
        "network": {"latent_dim": 8, "w_dim": 8, "mapping_layers": 2, "channels": [8, 8, 8, 8]},
        "discriminator": {"channels": [8, 8]},
        "training": {"batch": 5, "seed": 1, "log_every": 1},
    }
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def test_train_resume_and_export(tiny_config, tmp_path, capsys):
    run = tmp_path / "run"
    base = ["train", "maps", "--config", str(tiny_config), "--data", str(tmp_path / "data"), "--run", str(run)]
    base += ["--accelerator", "cpu", "--quiet"]
    assert main([*base, "--steps", "2", "--set", "training.batch=6"]) == 0
    assert "step 2 (steps): " in capsys.readouterr().out
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["training"]["batch"] == 6 and config["training"]["data"] == str(tmp_path / "data")
    assert "already holds a run; resume it" in fails(capsys, *base, "--steps", "3")
    assert main([*base, "--steps", "3", "--set", "training.batch=6", "--resume"]) == 0
    capsys.readouterr()
    assert [json.loads(line)["step"] for line in (run / "log.jsonl").read_text().splitlines()] == [1, 2, 3]

    out = ["export", str(run), "--out", str(tmp_path / "shipped")]
    assert "--fact is 'licence'; it must be of the form KEY=TEXT" in fails(capsys, *out, "--fact", "licence")
    assert main([*out, "--fact", "data=drawn eyes"]) == 0
    assert "maps.safetensors" in capsys.readouterr().out
    generator, facts = checkpoints.load(tmp_path / "shipped" / "maps.safetensors", "maps")
    assert generator.size == 32 and facts["steps"] == 3 and facts["data"] == "drawn eyes"


def test_wrong_training_arguments(tiny_config, tmp_path, capsys):
    base = ("--run", tmp_path / "run", "--config", tiny_config)
    assert "trains 'maps', not 'photos'" in fails(capsys, "train", "photos", *base, "--steps", 1)
    assert "unknown keys colour" in fails(capsys, "train", "maps", *base, "--steps", 1, "--set", "training.colour=1")
    assert "steps is 0; allowed are 1 and more" in fails(capsys, "train", "maps", *base, "--steps", 0)
    assert "minutes is inf" in fails(capsys, "train", "maps", *base, "--minutes", "inf")
    assert "no configuration nowhere.yaml" in fails(capsys, "train", "maps", "--run", "x", "--config", "nowhere.yaml")
    assert "python -m retinagan prepare" in fails(
        capsys, "train", "maps", *base, "--steps", 1, "--data", tmp_path / "none", "--accelerator", "cpu", "--quiet"
    )
    assert "holds no state" in fails(capsys, "export", tmp_path, "--out", tmp_path / "out")
