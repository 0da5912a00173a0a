"""Checkpoints rebuild themselves, and nothing but a whole and fitting file is accepted."""

import json
import pickle
import struct
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file

from retinagan import checkpoints
from retinagan.checkpoints import CheckpointError
from tests.helpers import tiny_map_generator, tiny_model, tiny_photo_generator
from tests.paths import ROOT


@pytest.fixture
def folder(tmp_path):
    return tiny_model(tmp_path / "model")


def rewrite(path, *, tensors=None, **metadata):
    """The same checkpoint with some tensors or metadata entries replaced (None removes)."""
    found = checkpoints._header(path)[0]
    full = {k: v if isinstance(v, str) else json.dumps(v) for k, v in found.items()} | metadata
    save_file(tensors or load_file(path), path, {k: v for k, v in full.items() if v is not None})


@pytest.mark.parametrize(("network", "make"), [("maps", tiny_map_generator), ("photos", tiny_photo_generator)])
def test_round_trip_keeps_config_weights_and_facts(tmp_path, network, make):
    module = make(seed=5)
    path = tmp_path / "x.safetensors"
    checkpoints.save(path, network, module, {"steps": 12})
    loaded, facts = checkpoints.load(path, network)
    assert facts == {"steps": 12} and loaded.config == module.config and not loaded.training
    for key, value in module.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], value.half().float()), key
    assert all(t.dtype == torch.float16 for t in load_file(path).values())


def test_a_changed_config_leaves_all_else_as_it_is(folder):
    path = folder / "photos.safetensors"
    tensors, first = load_file(path), checkpoints.describe(path)
    corrections = {**first["config"]["corrections"], "shown": 0.7}
    checkpoints.change_config(path, corrections=corrections)
    now = checkpoints.describe(path)
    assert now["config"] == {**first["config"], "corrections": corrections} and now["facts"] == first["facts"]
    assert checkpoints.load(path, "photos")[0].config.corrections.shown == 0.7
    assert all(torch.equal(value, tensors[key]) for key, value in load_file(path).items())
    for wrong in ({"corrections": {"shown": 9}}, {"colour": 1}):
        with pytest.raises(ValueError, match="allowed|most"):
            checkpoints.change_config(path, **wrong)
    assert checkpoints.describe(path) == now
    assert [file.name for file in sorted(folder.iterdir())] == ["maps.safetensors", "photos.safetensors"]


def test_exact_storage_on_request(tmp_path):
    module = tiny_map_generator()
    checkpoints.save(tmp_path / "x.safetensors", "maps", module, {}, dtype=torch.float32)
    loaded, _ = checkpoints.load(tmp_path / "x.safetensors", "maps")
    state = loaded.state_dict()
    assert all(torch.equal(value, state[key]) for key, value in module.state_dict().items())


def test_describe_reads_the_header(folder):
    about = checkpoints.describe(folder / "photos.safetensors")
    assert about["network"] == "photos" and about["config"]["size"] == 64
    assert about["parameters"] == sum(t.numel() for t in tiny_photo_generator().state_dict().values())
    assert about["sha256"] == checkpoints.sha256(folder / "photos.safetensors") and len(about["sha256"]) == 64


def test_weights_that_are_not_finite_are_never_written(tmp_path):
    module = tiny_map_generator()
    with torch.no_grad():
        module.outputs[0].weight.fill_(1e6)
    with pytest.raises(ValueError, match="outputs.0.weight does not fit torch.float16"):
        checkpoints.save(tmp_path / "x.safetensors", "maps", module, {})
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="network is 'sounds'; allowed are"):
        checkpoints.save(tmp_path / "x.safetensors", "sounds", module, {})


def test_missing_file_says_what_a_model_folder_holds(tmp_path):
    with pytest.raises(FileNotFoundError, match="maps.safetensors and photos.safetensors"):
        checkpoints.load(tmp_path / "none.safetensors", "maps")


@pytest.mark.parametrize("keep", [0, 1, 7, 8, 100, 2000, -1])
def test_truncated_files_are_refused(folder, keep):
    path = folder / "maps.safetensors"
    data = path.read_bytes()
    path.write_bytes(data[:keep])
    with pytest.raises(CheckpointError, match="not a whole safetensors file"):
        checkpoints.load(path, "maps")


def test_a_pickle_is_refused_and_not_executed(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / "executed"), "w"))

    path = tmp_path / "maps.safetensors"
    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(CheckpointError):
        checkpoints.load(path, "maps")
    torch.save({"w": torch.ones(2)}, path)
    with pytest.raises(CheckpointError):
        checkpoints.load(path, "maps")
    assert not (tmp_path / "executed").exists()


def test_wrong_shapes_and_keys_are_named(folder):
    path = folder / "maps.safetensors"
    tensors = load_file(path)
    rewrite(path, tensors=tensors | {"w_mean": torch.zeros(5, 9, dtype=torch.float16)})
    with pytest.raises(CheckpointError, match=r"tensor w_mean is \(\(5, 9\), 'F16'\)"):
        checkpoints.load(path, "maps")
    rewrite(path, tensors=tensors | {"w_mean": torch.zeros(5, 8, dtype=torch.int64)})
    with pytest.raises(CheckpointError, match="tensor w_mean.*I64"):
        checkpoints.load(path, "maps")
    rewrite(path, tensors=tensors | {"extra": torch.zeros(1)})
    with pytest.raises(CheckpointError, match=r"unexpected \['extra'\]"):
        checkpoints.load(path, "maps")
    rewrite(path, tensors={k: v for k, v in tensors.items() if k != "w_mean"})
    with pytest.raises(CheckpointError, match=r"missing \['w_mean'\]"):
        checkpoints.load(path, "maps")
    rewrite(path, tensors=tensors | {"w_mean": torch.full((5, 8), float("nan"), dtype=torch.float16)})
    with pytest.raises(CheckpointError, match="w_mean holds values that are not finite"):
        checkpoints.load(path, "maps")


def test_another_network_or_config_is_named(folder):
    maps, photos = folder / "maps.safetensors", folder / "photos.safetensors"
    with pytest.raises(CheckpointError, match="holds the network 'photos'; expected 'maps'"):
        checkpoints.load(photos, "maps")
    photo_config = json.dumps(checkpoints.describe(photos)["config"])
    rewrite(maps, config=photo_config)
    with pytest.raises(CheckpointError, match="its config does not build the network 'maps'"):
        checkpoints.load(maps, "maps")
    for text in ("{", "[1]", "null"):
        rewrite(photos, config=text)
        with pytest.raises(CheckpointError, match="config"):
            checkpoints.load(photos, "photos")
        photos.unlink()
        tiny_model(folder)
    rewrite(photos, format="other-3")
    with pytest.raises(CheckpointError, match="format 'other-3'"):
        checkpoints.load(photos, "photos")


def test_a_config_that_asks_for_the_moon_costs_nothing(folder):
    path = folder / "photos.safetensors"
    config = checkpoints.describe(path)["config"] | {"channels": [200_000, 200_000], "spade_hidden": [9000, 9000]}
    rewrite(path, config=json.dumps(config))
    with pytest.raises(CheckpointError):
        checkpoints.load(path, "photos")


def nested(depth):
    return "[" * depth + "]" * depth


@pytest.mark.parametrize(
    "values",
    [
        '{"latent_dim": 1' + "0" * 5000 + "}",
        '{"latent_dim": 1' + "0" * 4000 + "}",
        '{"norm_epsilon": 1' + "0" * 4000 + "}",
        '{"latent_dim": 1e999}',
        '{"norm_epsilon": NaN}',
        '{"channels": ' + nested(100) + "}",
        '{"channels": ' + nested(980) + "}",
        '{"channels": ' + nested(100_000) + "}",
        '{"channels": [[8]]}',
        '{"channels": {"0": 8}}',
        '{"mapping_layers": true}',
        '{"padding": ["zeros"]}',
        '{"self": 1}',
        '{"": 1}',
    ],
    ids=range(14),
)
def test_hostile_configs_are_refused(folder, values):
    path = folder / "maps.safetensors"
    rewrite(path, config=values)
    with pytest.raises(CheckpointError, match="config") as caught:
        checkpoints.load(path, "maps")
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    "facts",
    ['{"a": ' + nested(100_000) + "}", '{"a": ' + nested(60) + "}", '{"a": 1' + "0" * 5000 + "}", "[]", "[" * 100_000],
    ids=range(5),
)
def test_hostile_facts_are_refused(folder, facts):
    path = folder / "maps.safetensors"
    rewrite(path, facts=facts)
    with pytest.raises(CheckpointError, match="facts"):
        checkpoints.describe(path)


def test_headers_larger_than_any_networks_are_refused_unread(folder, monkeypatch):
    path = folder / "maps.safetensors"
    meta = {"format": checkpoints.FORMAT, "network": "maps", "facts": "{}"}
    long, many = {f"key{number}": 1 for number in range(50_000)}, range(checkpoints.MAX_TENSORS + 1)
    empty = {f"t{number}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for number in many}
    for header, told in (
        ({"__metadata__": meta | {"config": "{}"}} | empty, "holds 10,001 tensors; at most 10,000"),
        ({"__metadata__": meta | {"config": json.dumps(long)}}, "unknown keys key0, key1, key2, key3, key4 …; allowed"),
        ({"__metadata__": meta | {"config": "{}", "format": "x" * 10**6}}, "has format 'xxx"),
        ({"__metadata__": {"x": "y" * checkpoints.MAX_HEADER}}, "header of 4,194,331 bytes; at most 4,194,304"),
    ):
        text = json.dumps(header).encode()
        path.write_bytes(struct.pack("<Q", len(text)) + text)
        with pytest.raises(CheckpointError, match=told) as caught:
            checkpoints.load(path, "maps")
        assert len(str(caught.value)) < 900
    monkeypatch.setattr(checkpoints, "safe_open", lambda *_, **__: pytest.fail("it was opened"))
    with open(path, "wb") as file:
        file.truncate(checkpoints.MAX_BYTES + 1)
    with pytest.raises(CheckpointError, match="has 2,004,194,305 bytes; at most"):
        checkpoints.load(path, "maps")


def test_a_start_loads_neither_a_compiler_nor_what_reads_photographs():
    """Each takes half a second and tens of MiB; making pairs needs none of them."""
    code = (
        "import sys; from retinagan.pipeline import RetinaGAN; RetinaGAN.from_pretrained(device='cpu'); "
        "print(*{'torch._dynamo', 'sympy', 'scipy.signal', 'scipy.stats', 'scipy.optimize'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
