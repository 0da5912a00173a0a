"""Are the generated lesion maps such as a grader would place at the grade asked for, as varied as real ones, and new?

``python -m retinagan evaluate maps --data data/idrid512``. Real maps are those of a prepared folder: annotated lesions
("masks"), lesions predicted by a segmenter ("pseudo"), and grade 0, which has none by definition ("disc"). What maps
hold is told of both splits together, as is the distance between the distributions; copies are looked for among the
training maps, and the grader is fitted on them. The fovea is inferred from the disc on both sides alike. Predicted maps
were cleaned with the grade in hand (:mod:`retinagan.data.pseudo`), which flatters the grader's kappa on real maps. From
grade 2 on, where the grade did not clean them, their shares are corrected for what the segmenter misses and makes up
(:mod:`retinagan.data.presence`).
"""

from __future__ import annotations

from pathlib import Path

from tqdm import tqdm

from retinagan.data.presence import read_presence
from retinagan.evaluation.clean_up import CleanUp
from retinagan.evaluation.contents import Contents
from retinagan.evaluation.map_copies import MapCopies
from retinagan.evaluation.map_distances import MapDistances
from retinagan.evaluation.map_grader import Grading
from retinagan.evaluation.map_set import read_map_set
from retinagan.evaluation.report import Report
from retinagan.maps.descriptors import Measured
from retinagan.pipeline import RetinaGAN

COUNT = 200
"""Generated maps a grade unless told otherwise: a thousand in all."""


def evaluate(data: Path, model: Path, out: Path, count: int | None = None, progress: bool = True) -> Report:
    """Compare the maps of a model with the real maps of a prepared folder; map seeds 0 … count-1, truncation 1.

    Args:
        data: prepared folder, of the model's size or larger.
        model: model folder.
        out: folder for ``maps.json``, ``maps.md``, pictures and a contact sheet.
        count: generated maps a grade, 2 and more (200).

    Raises:
        FileNotFoundError, ValueError: no such folder or model, smaller maps, or too small a count.
    """
    count = COUNT if count is None else count
    if count < 2:
        raise ValueError(f"count is {count}; distances need 2 maps a grade and more")
    gan = RetinaGAN.from_pretrained(model)
    real = read_map_set(data, gan.size)
    raw = CleanUp.of(gan, count, progress)

    def measured(maps, what: str) -> Measured:
        return Measured.of(tqdm(maps, unit="map", desc=f"measure {what}", disable=not progress), gan.size)

    theirs = measured(real.maps, "real")
    ours = [measured(maps, f"grade {grade}") for grade, maps in enumerate(raw.maps)]
    counts = real.counts()
    splits, origins = (
        ", ".join(f"{n} {k or 'unnamed'}" for k, n in sorted(counts[of].items())) for of in ("splits", "labels")
    )
    report = Report(
        name="maps",
        title=[
            f"Lesion maps of {gan.name} against {data.name}. Synthetic, not for diagnosis.", "",
            f"- generated: {count} maps a grade, seeds 0-{count - 1}, truncation 1",
            f"- real: {counts['n']} maps of both splits ({splits}), {counts['ungraded']} without a grade",
            f"- lesions of real maps: {origins} (masks: annotated; pseudo: predicted; disc: grade 0, none)",
        ],
        facts={
            "model": gan.name, "sha256": gan.hashes.get("maps"), "data": data.name, "count": count, "truncation": 1.0,
            "real": counts,
        },
        results={
            "contents": Contents.of(real, theirs, ours, read_presence(data)),
            "grader": Grading.of(real, theirs.descriptors, [one.descriptors for one in ours]),
            "distances": MapDistances.of(real, theirs, ours),
            "nearest": MapCopies.of(real, raw.maps, progress),
            "clean_up": raw,
        },
    )  # fmt: skip
    report.write(out)
    return report
