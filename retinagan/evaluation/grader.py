"""Does the grader of photographs agree with the grades that people gave, and does it read those of generated ones?

``python -m retinagan evaluate grader --data data/idrid512 --model runs/grader``. A folder with ``fold-0/``,
``fold-1/`` … holds the networks of a cross-validation: each grades the training photographs that it never saw, all
together, and together they grade the held-out split and generated photographs. Any other folder's
``grader.safetensors`` does that alone. With ``--generated MODEL`` photographs are made of maps that the model samples
for the held-out split's grades; their kappa over that of held-out photographs, by the same networks, tells how well a
grade shows. A research figure, no diagnosis.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from matplotlib.figure import Figure
from tqdm import tqdm

from retinagan.data.dataset import read_picture
from retinagan.data.graders import Graders
from retinagan.data.prepare import read_manifest
from retinagan.evaluation import criteria
from retinagan.evaluation.criteria import Criterion
from retinagan.evaluation.kappa import Graded, confusion, draw_confusion
from retinagan.evaluation.plots import axes
from retinagan.evaluation.report import Report, Result
from retinagan.models.grader import grade_of
from retinagan.pipeline import RetinaGAN

COUNT = 200
"""Generated photographs unless told otherwise."""

NAMES = {"cross_validation": "real, cross-validated", "heldout": "real, held-out", "generated": "generated"}


@dataclass(frozen=True)
class Grading(Result):
    """Kappa of each set of photographs; None where there is no such set. That of generated ones is told at the held-out
    frequencies of the grades, and ``generated_over_heldout`` is their ratio. ``never_left_out``: graded training
    photographs that every network saw and none can judge."""

    title: ClassVar = "Grader of photographs: quadratic weighted kappa with its 95 % interval"
    cross_validation: Graded | None = None
    heldout: Graded | None = None
    generated: Graded | None = None
    generated_over_heldout: float | None = None
    never_left_out: int = 0

    def criteria(self) -> list[Criterion]:
        one = self.cross_validation
        if one is None:
            return [criteria.GRADER.judge(None, "one network that saw all training photographs: no cross-validation")]
        told = f"{one.kappa:.3f} on {one.n} photographs"
        if self.never_left_out:
            return [criteria.GRADER.judge(None, f"{told}; {self.never_left_out} others were left out by no network")]
        return [criteria.GRADER.judge(one.kappa, told)]

    def table(self) -> list[str]:
        lines = super().table()
        for name, one in self.sets().items():
            lines += ["", f"Confusion, {NAMES[name]}: true or asked grade by the grader's", *one.rows()]
        return lines

    def pictures(self) -> dict[str, Figure]:
        sets = self.sets()
        figure, (panels,) = axes(1, len(sets), 4 * len(sets), 3.9)
        for panel, (name, one) in zip(panels, sets.items(), strict=True):
            draw_confusion(panel, NAMES[name], one, rows="grade asked for" if name == "generated" else "grade")
        return {"confusion": figure}

    def sets(self) -> dict[str, Graded]:
        """Those that there are, by name."""
        return {name: one for name in NAMES if (one := getattr(self, name)) is not None}


def evaluate(
    data: Path,
    model: Path,
    out: Path,
    count: int | None = None,
    progress: bool = True,
    *,
    generated: Path | None = None,
) -> Report:
    """Judge a grader, or those of a cross-validation.

    Args:
        data: prepared folder, best with ``--include-unlabelled``: more graded photographs.
        model: a folder with ``grader.safetensors``, or with such a folder ``fold-K`` for every fold.
        out: folder for ``grader.json``, ``grader.md`` and ``grader-confusion.png``.
        count: generated photographs (200).
        generated: model folder whose photographs are graded, too; seeds 0 … count-1 of map and style.

    Raises:
        FileNotFoundError: no grader or no model there.
        ValueError: no graded photograph that a network has not seen, or folds that do not belong together.
    """
    graders, data = Graders.load(model), Path(data)
    rows = [row for row in read_manifest(data).values() if row["grade"]]
    heldout = [row for row in rows if row["split"] == "heldout"]
    train = [row for row in rows if row["split"] == "train"]
    folds = graders.left_out
    left_out = [row for row in train if row["id"] in folds]
    if not heldout and not left_out:
        raise ValueError(f"{data} holds no graded photographs that the grader has not seen; prepare more data")
    grades = np.array([int(row["grade"]) for row in heldout], dtype=np.int64)
    if generated is not None and not heldout:
        raise ValueError(f"{data} holds no graded held-out photographs; generated ones are made for their grades")
    asked = _asked(grades, COUNT if count is None else count) if generated is not None else grades[:0]
    sets: dict[str, Graded] = {}
    with tqdm(total=len(left_out) + len(heldout) + len(asked), unit="photograph", disable=not progress) as bar:

        def given(photos: Iterable[tuple[np.ndarray, int | None]]) -> np.ndarray:
            found = []
            for photo, fold in photos:
                found.append(int(grade_of(graders.probabilities(photo, fold))))
                bar.update()
            return np.array(found, dtype=np.int64)

        if left_out:
            true = np.array([int(row["grade"]) for row in left_out])
            sets["cross_validation"] = Graded.of(confusion(true, given(_photographs(data, left_out, folds))))
        if heldout:
            sets["heldout"] = Graded.of(confusion(grades, given(_photographs(data, heldout, {}))))
        if generated is not None:
            gan = RetinaGAN.from_pretrained(generated)
            made = ((_generated(gan, grade, seed), None) for seed, grade in enumerate(asked.tolist()))
            sets["generated"] = Graded.of(confusion(asked, given(made)), sets["heldout"].confusion)
    ratio = sets["generated"].kappa / sets["heldout"].kappa if generated is not None else None
    result = Grading(**sets, generated_over_heldout=ratio, never_left_out=len(train) - len(left_out) if left_out else 0)
    facts = {"data": data.name, "sha256": graders.hashes}
    if generated is not None:
        facts |= {"model": gan.name, "model_sha256": gan.hashes}
    several = f"{len(graders)} networks" if len(graders) > 1 else "one network"
    counts = "; ".join(f"{one.n} {NAMES[name]}" for name, one in sets.items())
    title = [f"Grader of photographs ({several}) on {data.name}: {counts}. Not for diagnosis."]
    report = Report("grader", title, facts, {"grader": result})
    report.write(Path(out))
    return report


def _photographs(
    data: Path, rows: Iterable[dict[str, str]], folds: Mapping[str, int]
) -> Iterable[tuple[np.ndarray, int | None]]:
    """Prepared photographs, each with the fold whose network is to grade it; None: all of them."""
    for row in rows:
        yield read_picture(data / "images" / f"{row['id']}.png", "RGB", int(row["size"])), folds.get(row["id"])


def _asked(grades: np.ndarray, count: int) -> np.ndarray:
    """``count`` grades with the frequencies of ``grades``, in an order drawn once, so that a small count holds a fair
    mix."""
    return np.resize(np.random.default_rng(0).permutation(grades), count)


def _generated(gan: RetinaGAN, grade: int, seed: int) -> np.ndarray:
    return gan.render(gan.sample_maps(grade, [seed]), [seed])[0]
