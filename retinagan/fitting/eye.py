"""Fits the corrections of new eyes to a photo generator's weights: photographs of training eyes beside generated ones
of the same maps.

Each generated photograph shows a training eye's own map, light and texture with a grown tree and drawn noise, so that
real and generated eyes differ by what is corrected and by little else. Seeds are fixed, and everything that was
measured is kept, so that a stopped fit goes on.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from retinagan import checkpoints
from retinagan.data.dataset import PreparedDataset, load_prepared
from retinagan.evaluation.photo_sets import Store, code_hash
from retinagan.eye.measured import MeasuredEye
from retinagan.eye.ridges import vesselness
from retinagan.eye.statistics import EyeCorrections
from retinagan.eye.style import Style
from retinagan.fitting.figures import FIGURES, figures, measure
from retinagan.fitting.knobs import KNOBS, corrected, slopes, spread, step, turned
from retinagan.maps.anatomy import find_anatomy
from retinagan.pipeline import RetinaGAN
from retinagan.writing import write_atomically

FIRST_STYLE = 1000
"""Style seed of the first generated eye: those from 0 on are what is reported elsewhere."""
SLOPE_SHARE, LEAST = 0.2, 24
"""Share of the eyes that slopes are measured on, and their number at least: the same eyes, so that little of their
scatter is left in a difference."""
ENOUGH = 0.5
"""No further step is taken when every knob would turn by less than this share of its scatter."""
DRAWS = 200
"""Bootstrap samples of eyes that scatter is told by."""
_CODE = (
    "eye", "fitting/figures.py", "evaluation/fovea.py", "evaluation/spectrum.py", "evaluation/vessels.py", "maps",
    "models/spade.py", "pipeline.py",
)  # fmt: skip
"""What a figure depends on beside weights and data."""


@dataclass(frozen=True)
class Fit:
    """What :func:`fit_eye` found.

    Attributes:
        eyes: generated eyes.
        before, after: the corrections.
        asked: each knob's value after one more step, by name: within its scatter of ``after`` once the fit has settled.
        scatter: standard deviation of each knob's value, by name (``retinagan.fitting.knobs.KNOBS``); its hold's where
            no figure tells it.
        figures: name → real, generated before, generated after, standard deviation of generated less real.
    """

    eyes: int
    before: EyeCorrections
    after: EyeCorrections
    asked: dict[str, float]
    scatter: dict[str, float]
    figures: dict[str, list[float]]


class Eyes:
    """Training eyes and generated ones of the same maps, measured.

    Args:
        data: the training split; eyes without a map are left out.
        model: whose corrections are fitted.
        store: keeps what was measured.
        count: generated eyes; maps are dealt out in turn, in an order drawn once.
        progress: whether a bar is shown.
    """

    def __init__(self, data: PreparedDataset, model: RetinaGAN, store: Store, count: int, progress: bool) -> None:
        self.data, self.model, self.store, self.progress = data, model, store, progress
        order = np.random.default_rng(0).permutation(np.flatnonzero(np.asarray(data.has_map)))
        self.chosen = [int(order[number % len(order)]) for number in range(count)]
        weights = hashlib.sha256(code_hash(*_CODE).encode())
        for name, tensor in sorted(model.photo_generator.state_dict().items()):
            weights.update(name.encode() + tensor.cpu().numpy().tobytes())
        self._key = weights.hexdigest()

    def real(self) -> np.ndarray:
        """Figures of the real photographs ``float64 (N, M)``."""
        return np.stack([self._real(index) for index in self._bar(self.chosen, "real eyes")])

    def generated(self, corrections: EyeCorrections, count: int, what: str) -> np.ndarray:
        """Figures of the first ``count`` generated eyes under these corrections ``float64 (count, M)``."""
        network = self.model.photo_generator
        network.config = dataclasses.replace(network.config, corrections=corrections)
        told = json.dumps(dataclasses.asdict(corrections))

        def row(number: int) -> np.ndarray:
            index = self.chosen[number]
            key = f"fit generated {self._key} {told} {self._digest(index)} {FIRST_STYLE + number}"
            return self.store.get(key, lambda: self._generate(index, FIRST_STYLE + number))

        return np.stack([row(number) for number in self._bar(range(count), what)])

    def _digest(self, index: int) -> str:
        pictures = self.data.photos[index].tobytes() + self.data.maps[index].tobytes()
        return hashlib.sha256(pictures + self.data.vessels[index].tobytes()).hexdigest()

    def _fovea(self, index: int) -> tuple[float, float]:
        """As marked, or where the disc lets one expect it."""
        anatomy, (x, y) = find_anatomy(self.data.maps[index]), self.data.fovea[index]
        return (float(x), float(y)) if np.isfinite([x, y]).all() else (anatomy.fovea_x, anatomy.fovea_y)

    def _real(self, index: int) -> np.ndarray:
        data = self.data
        radius = find_anatomy(data.maps[index]).disc_radius
        return self.store.get(
            f"fit real {self._key} {self._digest(index)}",
            lambda: measure(data.photos[index], data.maps[index], data.vessels[index], self._fovea(index), radius),
        )

    def _generate(self, index: int, seed: int) -> np.ndarray:
        label_map = self.data.maps[index]
        anatomy = find_anatomy(label_map)
        eye = MeasuredEye.of(self.data.photos[index], label_map, self.data.vessels[index], self._fovea(index))
        light, texture = eye.codes(self.model.photo_generator.eye)
        photo = self.model.render(label_map[None], [Style(seed, light=light, texture=texture)])[0]
        ridges = np.round(vesselness(photo, label_map) * 255).astype(np.uint8)
        centre = (anatomy.fovea_x, anatomy.fovea_y)
        return measure(photo, label_map, ridges, centre, anatomy.disc_radius, clearness=texture[-1])

    def _bar(self, items: Any, what: str) -> Any:
        return tqdm(items, desc=what, unit="eye", disable=not self.progress)


def fit_eye(
    data: str | Path,
    model_folder: str | Path,
    out: str | Path,
    eyes: int = 240,
    rounds: int = 3,
    *,
    write: bool = True,
    device: str = "auto",
    progress: bool = False,
) -> Fit:
    """Fit the corrections of ``model_folder`` on the training eyes of ``data``, and write them into its
    photos.safetensors.

    The first state measured has the model's own corrections. From there each knob's slopes are measured on a share of
    the eyes, and up to ``rounds`` Gauss-Newton steps are taken; the state whose figures agree best is kept.

    Args:
        data: folder written by ``prepare``, of the model's size, with all training eyes that new ones are drawn from.
        model_folder: of a model with an eye.
        out: folder of what was measured (kept for the next run) and of ``fit-eye.json``.
        eyes: generated eyes; 240 tell most corrections to a few percent.
        rounds: 0 only measures.
        write: whether the checkpoint is changed.

    Raises:
        ValueError: a model without an eye, or data of another size.
        FileNotFoundError: no such folder or file.
    """
    folder, out = Path(model_folder), Path(out)
    model = RetinaGAN.from_pretrained(folder, device)
    if not model.has_eye:
        raise ValueError(f"the model {model.name} has no eye (guidance 'none'): there is nothing to correct")
    dataset = load_prepared(data, "train")
    if dataset.photos.shape[1] != model.size:
        raise ValueError(f"{data} has a side of {dataset.photos.shape[1]} and the model {model.name} of {model.size}")
    before = model.photo_generator.config.corrections
    measured = Eyes(dataset, model, Store(out / "measured"), eyes, progress)
    real, first = measured.real(), measured.generated(before, eyes, "generated, before")
    compared = Compared(real, first)
    states = [(turned(before), first)]
    slope = _slopes(measured, *states[0])
    scatter = spread(compared.scatter, slope)
    best = 0
    for number in range(1, rounds + 1):
        values, rows = states[best]
        # Halfway back where the last step went too far.
        move = compared.turn(rows, slope) if best == number - 1 else (states[-1][0] - values) / 2
        if (np.abs(move) < ENOUGH * scatter).all():
            break
        trial = corrected(values + move)
        states.append((turned(trial), measured.generated(trial, eyes, f"generated, round {number}")))
        if compared.misfit(states[-1][1]) < compared.misfit(rows):
            best = number
    values, rows = states[best]
    after = corrected(values) if best else before
    asked = turned(corrected(values + compared.turn(rows, slope)))
    told = (figures(real), figures(first), figures(rows), compared.scatter)
    fit = Fit(
        eyes=eyes,
        before=before,
        after=after,
        asked={knob.name: knob.value(value) for knob, value in zip(KNOBS, asked, strict=True)},
        scatter={
            knob.name: float(sd * (knob.value(value) if knob.log else 1))
            for knob, sd, value in zip(KNOBS, scatter, values, strict=True)
        },
        figures={figure.name: column.tolist() for figure, column in zip(FIGURES, np.stack(told).T, strict=True)},
    )
    out.mkdir(parents=True, exist_ok=True)
    write_atomically(out / "fit-eye.json", json.dumps(dataclasses.asdict(fit), indent=2) + "\n")
    if write and after != before:
        checkpoints.change_config(folder / "photos.safetensors", corrections=dataclasses.asdict(after))
    return fit


def _slopes(measured: Eyes, values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """How the figures follow the knobs, on the first of the eyes."""
    count = min(len(rows), max(LEAST, round(SLOPE_SHARE * len(rows))))
    usual, moved = figures(rows[:count]), []
    turns = sorted({knob.turn for knob in KNOBS if knob.turn})
    for turn in turns:
        trial = corrected(values + [knob.step if knob.turn == turn else 0.0 for knob in KNOBS])
        shown = measured.generated(trial, count, f"slopes, {turn} of {len(turns)}")
        moved.append((turned(trial), figures(shown) - usual))
    texture = measured.model.photo_generator.eye.texture_mean.cpu().numpy().astype(np.float64)
    return slopes(values, moved, texture, measured.model.size)


class Compared:
    """Generated eyes against the real ones of the same maps.

    Args:
        real: what was measured on them ``(N, M)``.
        first: likewise, on the generated eyes of the first state.

    Attributes:
        scatter: standard deviation of each figure's difference ``(F,)`` over bootstrap samples of the eyes.
    """

    def __init__(self, real: np.ndarray, first: np.ndarray) -> None:
        self.real = real
        samples = np.random.default_rng(0).integers(len(real), size=(DRAWS, len(real)))
        self.scatter = np.std([figures(first[sample]) - figures(real[sample]) for sample in samples], axis=0)

    def turn(self, rows: np.ndarray, slope: np.ndarray) -> np.ndarray:
        """The turn of each knob ``(K,)`` that brings the figures together."""
        return step(figures(rows) - figures(self.real), self.scatter, slope)

    def misfit(self, rows: np.ndarray) -> float:
        """How far the figures that knobs are fitted by lie apart, in units of their scatter; by logarithms of
        the squares, so that one figure that nothing reaches does not decide."""
        fitted = {name for knob in KNOBS for name in knob.figures}
        used = np.isfinite(self.scatter) & [figure.name in fitted for figure in FIGURES]
        share = (figures(rows) - figures(self.real)) / np.maximum(self.scatter, 1e-4)
        return float(np.log1p(share[used] ** 2).sum())


def table(fit: Fit) -> str:
    """The corrections before and after, and the figures that they are fitted by, as text."""
    lines = [f"{'correction':<20}{'before':>9}{'fitted':>9}{'scatter':>9}{'asked':>9}   fitted by"]
    before, after = turned(fit.before), turned(fit.after)
    for knob, *values in zip(KNOBS, before, after, strict=True):
        old, new = map(knob.value, values)
        told = f"{fit.scatter[knob.name]:>9.3f}{fit.asked[knob.name]:>9.3f}" if knob.figures else f"{'-':>9}{'-':>9}"
        what = "the vessels' five" if len(knob.figures) > 1 else "".join(knob.figures) or "held"
        lines.append(f"{knob.name:<20}{old:>9.3f}{new:>9.3f}{told}   {what}")
    lines += ["", f"{fit.eyes} eyes{'':<22}{'real':>9}{'before':>9}{'after':>9}{'scatter':>9}"]
    for figure in FIGURES:
        real, old, new, scatter = fit.figures[figure.name]
        if figure.log:
            real, old, new = np.exp([real, old, new])
            scatter *= real
        lines.append(f"{figure.name:<30}" + "".join(f"{value:>9.3g}" for value in (real, old, new, scatter)))
    return "\n".join(lines)
