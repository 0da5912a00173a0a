"""The command line, what makes pictures, on tiny networks with random weights."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from retinagan import checkpoints
from retinagan.cli import build_parser, main
from retinagan.cli.arguments import parse_seeds
from retinagan.files.maps import encode_map_png, read_map_png
from retinagan.files.provenance import map_digest, read_png
from retinagan.maps.labels import HE, empty_map
from retinagan.models.superres import SuperResolver, SuperResolverConfig
from retinagan.pipeline import RetinaGAN
from tests.cli.failing import fails
from tests.helpers import TINY_SIZE, tiny_model

COMMANDS = tuple(next(action for action in build_parser()._actions if action.choices).choices)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("models") / "tiny")


def pixels(path) -> np.ndarray:
    return np.asarray(Image.open(path))


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


def test_a_missing_library_names_the_extra(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, "retinagan.original.convert", None)
    told = fails(capsys, "import-original", "--maps", "a", "--photos", "b", "--out", tmp_path / "out")
    assert "needs retinagan.original.convert" in told and "pip install 'retinagan[train,eval,original]'" in told


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
