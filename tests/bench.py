"""`make bench`: how long the steps of a picture take, as medians and as ratios within one run.

Absolute times depend on the machine and on what else it does; the ratios are what to compare between versions. A
512×512 float32 convolution of 16 channels serves as the yardstick.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
import torch

from tests import bench_app

COLD_START = """
import time; t = time.perf_counter()
from retinagan.pipeline import RetinaGAN
model = RetinaGAN.from_pretrained({model!r}, device="cpu")
model.render(model.sample_maps(3, [7]), [7])
print(time.perf_counter() - t)
"""


def median_seconds(call: Callable[[], object], runs: int) -> float:
    call()  # warm-up
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="checkpoints/default", help="model folder")
    parser.add_argument("--runs", type=int, default=7, help="counted runs of each figure (default 7)")
    options = parser.parse_args()

    from retinagan.eye.grown import make_eye
    from retinagan.pipeline import RetinaGAN

    cold = subprocess.run(
        [sys.executable, "-c", COLD_START.format(model=options.model)], check=True, capture_output=True, text=True
    )
    model = RetinaGAN.from_pretrained(options.model, device="cpu")
    label_map = model.sample_maps(3, [7])[0]
    yardstick = torch.nn.Conv2d(16, 16, 3, padding=1).to(memory_format=torch.channels_last)
    plane = torch.randn(1, 16, 512, 512).to(memory_format=torch.channels_last)
    with torch.inference_mode():
        unit = median_seconds(lambda: yardstick(plane), options.runs)
    photos = model.photo_generator
    guided = photos.config.guidance == "eye"
    rows = {
        "one map": lambda: model.sample_maps(3, [7]),
        "one photograph": lambda: model.render(label_map[None], [7]),
        "five maps with a photograph each": lambda: model.render(model.sample_maps(3, range(5)), range(5)),
    }
    if guided:
        rows["the eye of a photograph"] = lambda: make_eye(label_map, 7, photos.eye, photos.config.corrections)
    measured = {name: median_seconds(call, options.runs) for name, call in rows.items()}
    load = f"; load of the machine {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    print(
        f"{torch.get_num_threads()} threads{load}; medians of {options.runs} runs; "
        f"yardstick convolution {unit * 1000:.1f} ms\n"
    )
    print(f"{'work':36s}{'seconds':>9s}{'× yardstick':>13s}{'× one photograph':>18s}")
    for name, seconds in measured.items():
        print(f"{name:36s}{seconds:9.3f}{seconds / unit:13.1f}{seconds / measured['one photograph']:18.2f}")
    print(f"{'stroke → new photograph, server':36s}{bench_app.stroke_seconds(options.model, options.runs):9.3f}")
    print(f"{'cold start to the first photograph':36s}{float(cold.stdout):9.2f}")
    print(f"{'peak memory of this process, MiB':36s}{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:9.0f}")
    if shutil.which("chromium"):
        print("\nthe app in a browser, seconds:")
        for name, value in bench_app.measure(options.model).items():
            print(f"{name:36s}{value:9.2f}")
    else:
        print("\nno chromium on the PATH: the app was not measured")
    alone = model.render(label_map[None], [7])
    if not np.array_equal(alone, model.render(np.stack([label_map] * 2), [7, 8])[:1]):
        raise SystemExit("a photograph differs alone and in a batch")


if __name__ == "__main__":
    main()
