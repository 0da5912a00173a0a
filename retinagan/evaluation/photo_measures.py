"""One pass over photographs that takes every measure of each; photographs themselves are not kept in memory."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from retinagan.data.dataset import PreparedDataset
from retinagan.evaluation import colour, spectrum
from retinagan.evaluation.diversity import low_pass
from retinagan.evaluation.feature_space import segmenter_features
from retinagan.evaluation.judge import Judge
from retinagan.evaluation.photo_sets import Store, Wanted, code_hash, disc_left, render
from retinagan.evaluation.vessels import VesselStatistics, vessel_statistics
from retinagan.eye.ridges import vesselness
from retinagan.maps.anatomy import find_anatomy
from retinagan.maps.labels import empty_map
from retinagan.models.segmenter import Segmenter
from retinagan.pipeline import RetinaGAN


@dataclass(frozen=True)
class Measured:
    """N photographs in numbers.

    Attributes:
        features: ``float32 (N, F)`` of the segmenter.
        judged: ``float32 (N, F)`` of the judge, if there is one.
        colours, spectra: see :mod:`retinagan.evaluation.colour` and :mod:`retinagan.evaluation.spectrum`.
        vessels: ``uint8 (N, S, S)``, the ridge filter on the photograph × 255.
        statistics: of each photograph's vessels.
        low: ``float32 (N, P, 3)``, see :func:`retinagan.evaluation.diversity.low_pass`.
    """

    features: np.ndarray
    judged: np.ndarray
    colours: colour.Colours
    spectra: spectrum.Spectra
    vessels: np.ndarray
    statistics: list[VesselStatistics]
    low: np.ndarray


class Measurer:
    """Measures photographs, keeping in ``store`` what takes long, and showing how far it is."""

    def __init__(
        self, gan: RetinaGAN, segmenter: Segmenter, sha256: str, judge: Judge | None, store: Store, progress: bool
    ) -> None:
        self.gan, self.segmenter, self.judge, self.store, self.progress = gan, segmenter, judge, store, progress
        self._space = sha256  # of the segmenter's checkpoint

    def render(self, label_map: np.ndarray, style: int) -> np.ndarray:
        """Photograph ``uint8 (S, S, 3)`` of a map in a style."""
        return render(self.gan, self.store, label_map, style)

    def bar(self, items: Iterable, what: str) -> Iterable:
        return tqdm(items, desc=what, unit="photo", disable=not self.progress)

    def features(self, photo: np.ndarray) -> np.ndarray:
        """``float32 (F,)``."""
        key = f"features {self._space} {code_hash('models/segmenter.py')} {hashlib.sha256(photo.tobytes()).hexdigest()}"
        return self.store.get(key, lambda: segmenter_features(self.segmenter, photo))

    def judged(self, photo: np.ndarray) -> np.ndarray:
        """``float32 (F,)`` of the judge; none, ``(0,)``, without one."""
        judge = self.judge
        if judge is None:
            return np.empty(0, dtype=np.float32)
        code = code_hash("models/lite.py", "evaluation/judge.py")
        key = f"judged {judge.weights} {code} {hashlib.sha256(photo.tobytes()).hexdigest()}"
        return self.store.get(key, lambda: judge.look(photo))

    def real(self, data: PreparedDataset) -> Measured:
        """Real photographs; their vessels are the prepared ones."""
        left = disc_left(data)

        def measure(i: int) -> tuple:
            label_map = data.maps[i] if data.labels[i] else empty_map(data.maps.shape[1], None)
            return self._measure(data.photos[i], data.vessels[i], label_map, left[i])

        return self._gather(self.bar(range(len(data)), "real photographs"), lambda i: i, measure)

    def generated(self, wanted: Sequence[Wanted]) -> Measured:
        """Generated photographs. Like those of its eye, the vessels are looked for beside known lesions, or
        everywhere."""

        def measure(made: tuple[Wanted, np.ndarray]) -> tuple:
            one, photo = made
            known = one.label_map if one.own_map else None
            lesions = hashlib.sha256(known.tobytes()).hexdigest() if known is not None else "unknown"
            key = f"vessels {code_hash('eye/ridges.py')} {hashlib.sha256(photo.tobytes()).hexdigest()} {lesions}"
            plane = self.store.get(key, lambda: np.round(vesselness(photo, known) * 255).astype(np.uint8))
            label_map = one.label_map if one.own_map else empty_map(len(photo), None)
            return self._measure(photo, plane, label_map, find_anatomy(one.label_map).side == "left")

        return self._gather(
            self.bar(wanted, "generated photographs"), lambda one: (one, self.render(one.label_map, one.style)), measure
        )

    def _measure(self, photo: np.ndarray, vessels: np.ndarray, label_map: np.ndarray, left: bool) -> tuple:
        return (
            self.features(photo), self.judged(photo), colour.measure_colours([photo]), vessels,
            vessel_statistics(vessels, label_map), low_pass([photo], [left]), spectrum.Spectra.of([photo], len(photo)),
        )  # fmt: skip

    def _gather(self, items: Iterable, make: Callable, measure: Callable) -> Measured:
        rows, spectra = [], spectrum.Spectra(self.gan.size)
        for *row, one in ahead(items, make, measure):
            rows.append(row)
            spectra.include(one)  # one by one: each holds a megabyte
        features, judged, colours, vessels, statistics, low = zip(*rows, strict=True)
        return Measured(
            features=np.stack(features),
            judged=np.stack(judged),
            colours=colour.Colours(
                np.concatenate([one.means for one in colours]), np.concatenate([one.histograms for one in colours])
            ),
            spectra=spectra,
            vessels=np.stack(vessels),
            statistics=list(statistics),
            low=np.concatenate(low),
        )


def ahead(items: Iterable, make: Callable, measure: Callable) -> Iterator:
    """``measure(make(item))`` in order: what is made here, one after the other, is measured in threads beside it."""
    workers = os.cpu_count() or 1
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque = deque()
        for item in items:
            waiting.append(pool.submit(measure, make(item)))
            while len(waiting) > 2 * workers or (waiting and waiting[0].done()):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
