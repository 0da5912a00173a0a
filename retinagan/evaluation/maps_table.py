"""The figures of ``evaluate maps`` as text: tables, and what they mean for the criteria that maps are accepted by."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from textwrap import wrap

from retinagan.maps.labels import CLASSES, GRADE_NAMES, LESIONS, NUM_GRADES
from retinagan.maps.measure import QUADRANTS

SHARE_TOLERANCE, LARGEST_RATIO, LEAST_COVERAGE, KAPPA_SHARE = 0.12, 3.0, 0.5, 0.9
ENOUGH = 40
"""Real maps of a grade from which distances to them count."""

TRACE = 20
"""Pixels at a side of 512 up to which lesions beside microaneurysms are a trace (a share of 1e-4 of the field)."""

FGADR_SHARES = {
    "MA": (0.09, 0.93, 0.81, 0.82, 0.71),
    "HE": (0.04, 0.24, 0.85, 0.98, 0.90),
    "EX": (0.05, 0.20, 0.69, 0.90, 0.85),
    "SE": (0.02, 0.02, 0.30, 0.51, 0.37),
}
"""Published shares of maps with each lesion by grade in FGADR's Seg-set (Zhou et al., IEEE Trans. Medical Imaging 40,
2021), another data set, annotated by others: for orientation alone."""

_SHORT = [CLASSES[index].short for index in LESIONS]


def criteria(figures: dict) -> list[dict]:
    """What maps are accepted by: ``name``, ``met`` (None: cannot be told from these data) and ``figures`` in words."""
    rows = figures["grades"]
    present = [row for row in rows if row["real"]["n"]]
    off = sorted((_share_difference(row, kind) for row in present for kind in _SHORT), reverse=True)
    missing = [str(row["grade"]) for row in rows if not row["real"]["n"]]
    lacking = f"; no real maps of grade {', '.join(missing)}" if missing else ""
    close = off[0][0] <= SHARE_TOLERANCE
    told = "; ".join(text for difference, text in off if difference > SHARE_TOLERANCE) or off[0][1]
    listed = [
        _criterion(
            f"shares of maps with each lesion within ±{SHARE_TOLERANCE} of the real ones",
            (None if missing else True) if close else False,
            f"{'largest difference: ' if close else ''}{told}{lacking}",
        )
    ]
    burdens = [row["generated"]["burden"][1] for row in rows]
    listed.append(
        _criterion(
            "median burden rises strictly from grade 0 to 3",
            all(a < b for a, b in pairwise(burdens[:4])),
            "grades 0-4: " + ", ".join(f"{100 * burden:.3f} %" for burden in burdens),
        )
    )
    mild = figures["mild"]
    listed.append(
        _criterion(
            "grade 1 holds microaneurysms and at most traces of anything else",
            mild["with_aneurysms"] >= 0.9 and mild["more_than_a_trace"] <= 0.1,
            f"{mild['with_aneurysms']:.0%} hold microaneurysms, {mild['more_than_a_trace']:.0%} hold more than "
            f"{TRACE} px of other lesions (at most 10 % of maps may)",
        )
    )
    listed.append(_kappa_criterion(figures["grader"]))
    listed.append(_distance_criterion(figures, "Fréchet ratio", "frechet", "ratio", lambda v: v <= LARGEST_RATIO))
    listed.append(_distance_criterion(figures, "coverage", "coverage", "coverage", lambda v: v >= LEAST_COVERAGE))
    nearest = figures["nearest"]
    listed.append(
        _criterion(
            "no generated map is a training map turned or mirrored (IoU of all lesions below 0.7)",
            nearest["copies"] == 0,
            f"{nearest['copies']} of {nearest['n']} maps with lesions; highest IoU {_number(nearest['max'])}",
        )
    )
    raw = figures["clean_up"]
    right = {when: min(raw[when]["plausible_disc"], raw[when]["one_disc"]) for when in ("before", "after")}
    strayed = raw["before"]["lesions_outside"]
    outside = 1 - raw["after"]["lesions_inside"]
    listed.append(
        _criterion(
            "one plausible disc in ≥ 95 % of maps before clean-up and in all after; no lesion outside the field",
            right["before"] >= 0.95 and right["after"] == 1 and outside == 0,
            f"{right['before']:.1%} before, {right['after']:.1%} after, n = {raw['n']}; lesions outside the field in "
            f"{outside:.1%} of maps after clean-up, {strayed:.2%} of lesion pixels before",
        )
    )
    minutes, processor = (figures[key] / 60 for key in ("seconds_a_thousand", "processor_seconds_a_thousand"))
    listed.append(
        _criterion(
            "1000 maps in at most 10 minutes",
            minutes <= 10,
            f"{minutes:.1f} minutes on this machine as busy as it was, {processor:.1f} of processor time",
        )
    )
    return listed


def _criterion(name: str, met: bool | None, figures: str) -> dict:
    return {"name": name, "met": met, "figures": figures}


def _share_difference(row: dict, kind: str) -> tuple[float, str]:
    """How far the shares of a lesion differ, and both in words, with the 95 % interval of the real one; a corrected one counts."""
    ours, theirs = (row[what]["lesions"][kind] for what in ("generated", "real"))
    low, high = theirs["interval"]
    text = f"{kind} of grade {row['grade']} {ours['share']:.2f}, real {theirs['share']:.2f} [{low:.2f} {high:.2f}]"
    share = theirs["share"]
    if "corrected" in theirs:
        share = theirs["corrected"]
        text += f", corrected {share:.2f}"
    return abs(ours["share"] - share), f"{text} (n {row['real']['n']})"


def _kappa_criterion(grader: dict) -> dict:
    name = f"kappa of generated maps at least {KAPPA_SHARE} of that of real ones"
    if "real" not in grader:
        return _criterion(name, None, "too few graded training maps for a grader")
    ours, theirs = grader["generated"]["kappa"], grader["real"]["kappa"]
    met: bool | None = ours >= KAPPA_SHARE * theirs
    left_out = sorted(set(range(NUM_GRADES)) - set(grader["grades"]))
    note = f"; without grade {', '.join(map(str, left_out))}: too few real maps" if left_out else ""
    return _criterion(name, None if met and left_out else met, f"{ours:.2f} against {theirs:.2f}{note}")


def _distance_criterion(figures: dict, what: str, key: str, value: str, good: Callable[[float], bool]) -> dict:
    limit = f"≤ {LARGEST_RATIO:g}" if key == "frechet" else f"≥ {LEAST_COVERAGE:g}"
    judged = [(row["grade"], row[key][value]) for row in figures["distances"] if row["n"] >= ENOUGH and row[key]]
    name = f"{what} {limit} for every grade with {ENOUGH} real maps and more"
    told = ", ".join(f"grade {grade}: {number:.2f}" for grade, number in judged)
    met = all(good(number) for _, number in judged) if judged else None
    return _criterion(name, met, told or f"no grade has {ENOUGH} real maps")


def table(figures: dict) -> str:
    """The figures of :func:`retinagan.evaluation.maps.evaluate` as lines of at most 132 columns."""
    rows, real = figures["grades"], figures["real"]
    count, origins = figures["count"], _counts(real["labels"])
    lines = [
        f"Lesion maps of {figures['model']} against {figures['data']}. Synthetic, not for diagnosis.",
        f"generated: {count} maps a grade, seeds 0-{count - 1}, truncation {figures['truncation']:g}",
        f"real: {real['n']} maps of both splits ({_counts(real['splits'])}), {real['ungraded']} without a grade",
        f"lesions of real maps: {origins} (masks: annotated; pseudo: predicted; disc: grade 0, none by definition)",
        "three numbers in a row are the quartiles: 25 %, median, 75 %",
    ]
    lines += _block("Share of maps with each lesion [95 %]; → corrected", rows, _share_cell, published=True)
    lines += _presence_lines(figures.get("presence"))
    lines += _block("Lesions a map", rows, lambda k: _quartiles(k["number"], "{:.0f}"))
    lines += _block("Area of single lesions, pixels at 512", rows, lambda k: _quartiles(k["size"], "{:.0f}"))
    lines += _block("Area a map, % of the field", rows, lambda k: _quartiles(k["area"], "{:.3f}", 100))
    lines += _block("Distance of lesions to the fovea, shares of the side", rows, lambda k: _quartiles(k["to_fovea"]))
    lines += _block("Distance of lesions to the disc, shares of the side", rows, lambda k: _quartiles(k["to_disc"]))
    initials = "/".join("".join(word[0] for word in name.split()) for name in QUADRANTS).upper()
    lines += _block(
        f"Share of lesions in each quadrant, {initials} (superior, inferior; temporal, nasal)", rows, _quadrants
    )
    lines += _eyes(rows)
    lines += [
        "",
        "Lesions in rows and columns: log power along the axes over the diagonals, maps with lesions (eyes: about 0)",
    ]
    for row in rows:
        real_grid, generated_grid = (_quartiles(row[what]["grid"]) for what in ("real", "generated"))
        lines.append(f"{row['grade']:<8}real {real_grid:<24}generated {generated_grid}")
    lines += _distance_lines(figures["distances"])
    lines += _nearest_lines(figures["nearest"])
    lines += _grader_lines(figures["grader"])
    raw = figures["clean_up"]
    lines += ["", f"Before and after clean-up, shares of {raw['n']} maps"]
    lines.append(f"{'':8}{'one disc':>12}{'plausible':>12}{'no speck':>12}{'lesions inside':>17}")
    for when in ("before", "after"):
        values = [raw[when][key] for key in ("one_disc", "plausible_disc", "no_speck", "lesions_inside")]
        lines.append(f"{when:8}" + "".join(f"{v:>{w}.3f}" for v, w in zip(values, (12, 12, 12, 17), strict=True)))
    seconds, processor = figures["seconds_a_thousand"], figures["processor_seconds_a_thousand"]
    lines += [
        "",
        f"Time of 1000 maps on this machine: {seconds:.0f} s; processor time {processor:.0f} s",
        "",
        "Criteria",
    ]
    words = {True: "met", False: "NOT MET", None: "cannot be told"}
    for criterion in figures["criteria"]:
        lines.append(f"{words[criterion['met']]:>14}  {criterion['name']}")
        lines += [" " * 16 + line for line in wrap(criterion["figures"], 104)]
    return "\n".join(lines)


def _block(title: str, rows: list[dict], cell: Callable[[dict], str], published: bool = False) -> list[str]:
    lines = ["", title, f"{'grade':<18}{'n':>5}" + "".join(f"{name:>26}" for name in _SHORT)]
    for row in rows:
        for what, name in _sets(row):
            found = row[what]
            head = f"{row['grade']} {name:<16}{found['n']:>5}"
            if found["n"] == 0:
                lines.append(f"{head}  n = 0: no real maps")
            else:
                lines.append(head + "".join(f"{cell(found['lesions'][name]):>26}" for name in _SHORT))
        if published:
            shares = "".join(f"{FGADR_SHARES[name][row['grade']]:>10.2f}{'':16}" for name in _SHORT)
            lines.append(f"{row['grade']} {'FGADR, published':<21}" + shares)
    return lines


def _sets(row: dict) -> list[tuple[str, str]]:
    """Keys and names of the sets to tell of: annotated maps on their own where most are predicted."""
    mixed = [("masks", "annotated alone")] if {"masks", "pseudo"} <= set(row["labels"]) else []
    return [("real", "real"), *mixed, ("generated", "generated")]


def _share_cell(lesion: dict) -> str:
    low, high = lesion["interval"]
    arrow = f" → {lesion['corrected']:.2f}" if "corrected" in lesion else ""
    return f"{lesion['share']:.2f} [{low:.2f} {high:.2f}]{arrow}"


def _presence_lines(noted: dict | None) -> list[str]:
    if not noted:
        return []
    lines = [
        "Corrected: predicted maps of grades 2-4, for how often the segmenter is right about an eye that it has not learned from"
    ]
    for kind, one in noted.items():
        rates = (
            f"{name} {_number(one[name])} of {one[n]}"
            for name, n in (("sensitivity", "with"), ("specificity", "without"))
        )
        lines.append(f"  {kind}: " + ", ".join(rates))
    return lines


def _quadrants(lesion: dict) -> str:
    shares = list(lesion["quadrants"].values())
    return "-" if shares[0] is None else "/".join(f"{share:.2f}"[1:] if share < 1 else "1" for share in shares)


def _quartiles(values: list[float] | None, form: str = "{:.2f}", factor: float = 1.0) -> str:
    return "-" if values is None else "  ".join(form.format(value * factor) for value in values)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name or 'unnamed'}" for name, count in sorted(counts.items()))


def _eyes(rows: list[dict]) -> list[str]:
    lines = ["", "Burden (% of the field) and the disc (shares of the side, x from the nearer edge; shares of maps)"]
    heads = (("burden", 25), ("disc radius", 21), ("roundness", 18), ("x", 18), ("y", 18), ("left", 7))
    lines.append(f"{'grade':<18}{'n':>5}" + "".join(f"{name:>{width}}" for name, width in heads))
    for row in rows:
        for what, name in _sets(row):
            found = row[what]
            if found["n"]:
                disc = found["disc"]
                cells = [_quartiles(found["burden"], "{:.3f}", 100), _quartiles(disc["radius"], "{:.3f}")]
                cells += [*(_quartiles(disc[key]) for key in ("roundness", "x", "y")), _number(disc["left"])]
                text = "".join(f"{cell:>{width}}" for cell, (_, width) in zip(cells, heads, strict=True))
                lines.append(f"{row['grade']} {name:<16}{found['n']:>5}{text}")
            else:
                lines.append(f"{row['grade']} {name:<16}{0:>5}  n = 0: no real maps")
    return lines


def _distance_lines(distances: list[dict]) -> list[str]:
    heads = f"{'grade':<7}{'real n':>7} |{'Fréchet: half n':>16}{'real-real':>11}{'gen-real':>10}{'ratio':>8} |"
    heads += f"{'coverage':>10}{'(expected)':>11}{'density':>9}{'n':>5} |{'nearest: real':>14}{'gen':>6}"
    lines = ["", "Distances on standardised descriptors, at equal n (few maps: biased alike on both sides)", heads]
    for row in distances:
        frechet, coverage, neighbour = row["frechet"], row["coverage"], row["neighbour"]
        text = f"{row['grade']:<7}{row['n']:>7} |"
        if row["n"] == 0:
            text += "  n = 0: no real maps"
        elif frechet is None:
            text += f"  too few real maps (n = {row['n']})"
        else:
            text += f"{frechet['n']:>16}{frechet['real']:>11.2f}{frechet['generated']:>10.2f}{frechet['ratio']:>8.2f} |"
            if coverage is None:
                text += f"{'-':>10}{'-':>11}{'-':>9}{'-':>5} |"
            else:
                text += f"{coverage['coverage']:>10.2f}{coverage['expected']:>11.2f}{coverage['density']:>9.2f}"
                text += f"{coverage['n']:>5} |"
            text += f"{neighbour['real']:>14.2f}{neighbour['generated']:>6.2f}"
        lines.append(text)
    return lines


def _nearest_lines(nearest: dict) -> list[str]:
    lines = [
        "",
        f"Nearest of {nearest['train']} training maps, turned and mirrored: IoU of all lesions (maps with lesions)",
    ]
    lines.append(f"{'':24}{'n':>6}{'quartiles':>22}{'highest':>9}")
    names = ("generated", "real, held-out", "real, other training")
    for name, row in zip(names, (nearest, nearest["real_heldout"], nearest["real_train"]), strict=True):
        lines.append(f"{name:<24}{row['n']:>6}{_quartiles(row['iou']):>22}{_number(row['max']):>9}")
    for match in nearest["nearest"][:3]:
        lines.append(
            f"  grade {match['grade']} seed {match['seed']}: IoU {match['iou']:.2f} with {match['id']} "
            f"({match['lesion_pixels']} lesion pixels)"
        )
    return lines


def _grader_lines(grader: dict) -> list[str]:
    if "real" not in grader:
        return ["", "Grader: too few graded training maps of two grades"]
    kinds = grader["grades"]
    lines = [
        "",
        "Grader: logistic regression on the descriptors of real training maps",
        "quadratic weighted kappa [95 %], generated maps at the real shares of the grades",
    ]
    names = {"real": "real, cross-validated", "heldout": "real, held-out", "generated": "generated"}
    for key, name in names.items():
        if key in grader:
            low, high = grader[key]["interval"]
            lines.append(
                f"{name:<24}n {grader[key]['n']:>5}   kappa {_number(grader[key]['kappa'])} [{low:.2f} {high:.2f}]"
            )
    lines.append("Confusion (row: true or asked grade, column: the grader's)")
    lines.append("   ".join(f"{names[key]:<{8 + 6 * len(kinds)}}" for key in ("real", "generated")))
    lines.append("   ".join([f"{'':8}" + "".join(f"{g:>6}" for g in kinds)] * 2))
    for grade in kinds:
        halves = ["".join(f"{grader[key]['confusion'][grade][g]:>6}" for g in kinds) for key in ("real", "generated")]
        lines.append("   ".join(f"{grade:<8}{half}" for half in halves))
    left_out = [f"{g} ({GRADE_NAMES[g]})" for g in range(NUM_GRADES) if g not in kinds]
    if left_out:
        lines.append(f"Left out for want of real training maps: grade {', '.join(left_out)}")
    return lines
