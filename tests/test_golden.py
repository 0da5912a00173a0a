"""What the shipped weights make: the same bytes as ever on the CPU that the digests are of, to one level on others.

``python -m tests.test_golden`` writes the digests and the small reference anew, for a change that is meant to be seen.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from retinagan.pipeline import RetinaGAN
from tests.paths import ROOT

STORED = ROOT / "tests" / "data" / "golden.npz"
GRADES, SEEDS = (0, 2, 4), (0, 7, 1234567)
CASES = [(grade, seed) for grade in GRADES for seed in SEEDS]
QUICK = list(zip(GRADES, SEEDS, strict=True))
"""Those of which the default run makes the large photograph, too; ``make test-large`` makes them all."""
STEP = 16
"""Every so many pixels across and down are kept of a photograph."""


def machine() -> str:
    """What rounding depends on."""
    cpu = Path("/proc/cpuinfo")
    names = [line for line in cpu.read_text().splitlines() if "model name" in line] if cpu.is_file() else []
    return ", ".join([platform.machine(), *names[:1], torch.backends.cpu.get_cpu_capability(), torch.__version__])


def digest(picture: np.ndarray) -> str:
    return hashlib.sha256(f"{picture.dtype}{picture.shape}".encode() + picture.tobytes()).hexdigest()


def photograph(model: RetinaGAN, label_map: np.ndarray, seed: int, size: int) -> np.ndarray:
    return model.render(label_map[None], [seed + 1], size=size)[0]


def check(stored: dict, key: str, picture: np.ndarray) -> None:
    """A map or a photograph against what is stored of it."""
    if digest(picture) == stored["digests"][key]:
        return
    assert stored["machine"] != machine(), f"{key} is not what it was on this very kind of CPU"
    if picture.ndim == 2:  # a class flips where two are as likely
        assert (picture != stored[key]).mean() < 1e-3
    else:
        assert np.abs(picture[::STEP, ::STEP].astype(int) - stored[key]).max() <= 1


@pytest.fixture(scope="module")
def stored() -> dict:
    with np.load(STORED) as file:
        return {**{key: file[key] for key in file.files if key != "facts"}, **json.loads(str(file["facts"]))}


@pytest.fixture(scope="module")
def model() -> Iterator[RetinaGAN]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # sums of several threads round otherwise
    yield RetinaGAN.from_pretrained(device="cpu")
    torch.set_num_threads(threads)


@pytest.mark.parametrize(("grade", "seed"), CASES)
def test_maps_and_photographs_are_what_they_were(model, stored, grade, seed):
    check(stored, f"map-{grade}-{seed}", model.sample_maps(grade, [seed])[0])
    label_map = stored[f"map-{grade}-{seed}"]
    check(stored, f"512-{grade}-{seed}", photograph(model, label_map, seed, 512))


@pytest.mark.parametrize(("grade", "seed"), QUICK)
def test_large_photographs_are_what_they_were(model, stored, grade, seed):
    check(stored, f"1024-{grade}-{seed}", photograph(model, stored[f"map-{grade}-{seed}"], seed, 1024))


def write() -> None:
    torch.set_num_threads(1)
    model = RetinaGAN.from_pretrained(device="cpu")
    digests, kept = {}, {}
    for grade, seed in CASES:
        label_map = model.sample_maps(grade, [seed])[0]
        digests[f"map-{grade}-{seed}"], kept[f"map-{grade}-{seed}"] = digest(label_map), label_map
        for size in (512, 1024):
            photo = photograph(model, label_map, seed, size)
            digests[f"{size}-{grade}-{seed}"] = digest(photo)
            kept[f"{size}-{grade}-{seed}"] = photo[::STEP, ::STEP]
    np.savez_compressed(STORED, facts=json.dumps({"machine": machine(), "digests": digests}), **kept)


if __name__ == "__main__":
    write()
