"""Does a photograph show the lesions of its map? The segmenter's agreement with the map, pixel by pixel.

Measured on real held-out photographs with annotated lesions and on photographs generated from the same maps: what the
segmenter misses on real eyes it may miss on generated ones, so that the ratio of the two counts.
"""

from __future__ import annotations

from retinagan.maps.labels import CLASSES, EX, HE, MA, OD, SE
from retinagan.models.segmenter import SEGMENTED
from retinagan.training.agreement import Agreement

LEAST = {EX: 0.9, HE: 0.9, SE: 0.8, MA: 0.8, OD: 0.9}
"""Dice on generated over Dice on real photographs, at least."""


def fidelity(real: Agreement, generated: Agreement) -> dict[str, dict]:
    """Figures of each class: Dice and AUPR on real and generated photographs and their ratios, and n.

    Dice is taken at the threshold that is best on the *real* photographs, for both: a fixed 0.5 says little of classes
    as rare as microaneurysms, and this choice favours the real ones. Classes that no real photograph has are left out.
    """
    table = {}
    for index in SEGMENTED:
        if not real.photographs(index) or not generated.photographs(index):
            continue
        threshold = real.best_threshold(index)
        row = {"threshold": threshold, "n_real": real.photographs(index), "n_generated": generated.photographs(index)}
        for name, of in (
            ("dice", lambda a, t=threshold, i=index: a.dice(i, t)),
            ("aupr", lambda a, i=index: a.aupr(i)),
        ):
            ours, theirs = of(generated), of(real)
            row[name] = {"real": theirs, "generated": ours, "ratio": ours / max(theirs, 1e-9)}
        table[CLASSES[index].short] = row
    return table
