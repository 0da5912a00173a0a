"""Import of checkpoints of the published size. Outside the default run: `make test-large` (8 GB of disk, minutes)."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from tests.original_bundle import maps_shapes, photos_shapes, write_bundle
from tests.paths import ROOT

MAPS = list(maps_shapes(512, (512, 512, 512, 512, 256, 128, 64)))
PHOTOS = list(photos_shapes(512, (1024, 1024, 1024, 512, 256, 128, 64, 32), hidden=128))
NEEDED = 4 * sum(int(np.prod(shape)) for _, shape in MAPS + PHOTOS)
ALLOWED_MEMORY = NEEDED + (1 << 30)

IMPORT = """
import json, resource, sys
from retinagan.original.convert import import_original
report = import_original(sys.argv[1], sys.argv[2], sys.argv[3], progress=False, warn=lambda text: None)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps({"peak": peak, "seconds": report.seconds, "bytes_read": report.bytes_read}))
"""

RENDER = """
import json, sys, time
import numpy as np, torch
from retinagan.pipeline import RetinaGAN
model = RetinaGAN.from_pretrained(sys.argv[1], device="cpu")
start = time.monotonic()
label_map = model.sample_maps(3, [7])
sampled = time.monotonic()
photo = model.render(label_map, [1])
print(json.dumps({"map_seconds": sampled - start, "photo_seconds": time.monotonic() - sampled}))
np.savez(sys.argv[2], label_map=label_map, photo=photo)
"""


def run(script: str, *arguments: Path) -> dict:
    """Run in a process of its own, so that its peak memory is its own."""
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)], capture_output=True, text=True, check=False,
        cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout.splitlines()[-1])
    print(figures)
    return figures


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> Path:
    """Both checkpoints at full width, with slots, discriminator and encoder up to the published 0.6 and 1.8 GB."""
    folder = tmp_path_factory.mktemp("published")
    maps_filler = [(f"discriminator/layer_with_weights-{i}/kernel", (3, 3, 2048, 1024)) for i in range(4)]
    write_bundle(folder / "gan.ckpt", MAPS, seed=1, filler=maps_filler)
    photos_filler = [(f"discriminator/layer_with_weights-{i}/kernel", (3, 3, 2048, 1024)) for i in range(7)]
    write_bundle(folder / "gau.ckpt", PHOTOS, seed=2, filler=photos_filler)
    yield folder
    for file in folder.rglob("*"):  # gigabytes are not left to the next runs
        if file.is_file():
            file.unlink()


def test_full_size_imports_within_its_memory_and_renders(published):
    sizes = {f.name[:3]: f.stat().st_size for f in published.glob("*.data-*")}
    assert sizes["gan"] > 0.6e9 and sizes["gau"] > 1.75e9
    figures = run(IMPORT, published / "gan.ckpt", published / "gau.ckpt", published / "model")
    assert figures["bytes_read"] == NEEDED
    assert figures["peak"] <= ALLOWED_MEMORY, f"{figures['peak'] / 2**20:.0f} MiB"
    run(RENDER, published / "model", published / "out.npz")
    with np.load(published / "out.npz") as out:
        assert out["photo"].shape == (1, 1024, 1024, 3) and out["photo"].dtype == np.uint8
        assert out["photo"].std() > 1, "a flat picture would show nothing"
        assert out["label_map"].shape == (1, 1024, 1024)


def test_full_size_archives_import_within_the_same_memory(published):
    """Packed quickly: the point is that inflating keeps to what is needed."""
    for name in ("gan", "gau"):
        with zipfile.ZipFile(published / f"{name}.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for file in published.glob(f"{name}.ckpt.*"):
                archive.write(file, f"checkpoint/{file.name}")
    figures = run(IMPORT, published / "gan.zip", published / "gau.zip", published / "from-zip")
    assert figures["peak"] <= ALLOWED_MEMORY, f"{figures['peak'] / 2**20:.0f} MiB"
    for name in ("maps", "photos"):
        a, b = (published / folder / f"{name}.safetensors" for folder in ("model", "from-zip"))
        with safe_open(a, "pt") as x, safe_open(b, "pt") as y:
            assert all(torch.equal(x.get_tensor(k), y.get_tensor(k)) for k in x.keys())
