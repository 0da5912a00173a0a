"""The figures of ``evaluate photos`` as text, and what they mean for the criteria that photographs are accepted by."""

from __future__ import annotations

from retinagan.evaluation import (
    colour,
    copying,
    diversity,
    feature_space,
    same_eye,
    spectrum,
)
from retinagan.evaluation.fidelity import LEAST as LEAST_DICE
from retinagan.evaluation.vessels import HEADLINE
from retinagan.maps.labels import CLASSES

VESSEL_SHARE = 0.8
"""Share of photographs within the real 10th to 90th percentile, at least: what the real ones themselves have."""

SECONDS = 0.6
"""A photograph at 512 on two CPU cores, at most."""


def criteria(figures: dict) -> list[dict]:
    """What photographs are accepted by: ``name``, ``met`` (None: cannot be told from these data) and ``figures`` in
    words."""
    return [
        *feature_criteria(figures["features"]),
        *fidelity_criteria(figures["fidelity"]),
        *spectrum_criteria(figures["spectrum"]),
        *vessel_criteria(figures["vessels"]),
        copying_criterion(figures["copying"]),
        *colour_criteria(figures["colour"]),
        diversity_criterion(figures["diversity"]),
        *same_eye_criteria(figures["same_eye"], figures["batch_is_single"]),
        _criterion(
            f"a photograph in at most {SECONDS} s on two CPU cores", figures["seconds_a_photograph"] <= SECONDS,
            f"{figures['seconds_a_photograph']:.2f} s here, whatever else this machine did",
        ),
    ]  # fmt: skip


def feature_criteria(figures: dict) -> list[dict]:
    frechet = figures["frechet"]
    ratio = frechet["ratio"]
    told = f"{_ratio(frechet, 'generated', 'train', '.2f')}; n = {figures['n']} against {figures['n_heldout']}"
    name = f"Fréchet distance of generated to held-out real over that of training real at most {feature_space.MOST:g}"
    return [_criterion(name, None if ratio is None else ratio <= feature_space.MOST, told)]


def fidelity_criteria(figures: dict) -> list[dict]:
    listed = []
    for index, least in LEAST_DICE.items():
        row = figures["classes"].get(CLASSES[index].short)
        name = f"Dice of {CLASSES[index].name.lower()} on generated over that on real at least {least:g}"
        if row is None or row["dice"]["real"] == 0:
            listed.append(
                _criterion(name, None, "no annotated held-out photograph has it, or the segmenter never finds it")
            )
        else:
            dice = row["dice"]
            told = f"{_ratio(dice, 'generated', 'real', '.3f')}; {row['n_real']} real photographs have it"
            listed.append(_criterion(name, dice["ratio"] >= least, told))
    return listed


def spectrum_criteria(figures: dict) -> list[dict]:
    ratios, edges = figures["ratios"]["luminance"], figures["edges"]
    worst = max(range(len(ratios)), key=lambda band: abs(ratios[band] - 1))
    near = sum(spectrum.within([ratio]) for ratio in ratios)
    there = f"{edges[worst]:.0f}-{edges[worst + 1]:.0f} cycles"
    told = f"{near} of {len(ratios)} bands; farthest {ratios[worst]:.2f} at {there}"
    name = f"power within ±{spectrum.TOLERANCE:.0%} of real from {edges[0]:g} to {edges[-1]:g} cycles an image"
    listed = [_criterion(name, spectrum.within(ratios), told)]
    peaks = figures["peaks"]
    name = (
        f"no peak in the spectrum at grids of {', '.join(peaks)} pixels (at most {spectrum.PEAK:g}× that of real ones)"
    )
    told = ", ".join(
        f"{factor}: {peak['ratio']:.2f} at ({peak['frequency'][0]:g}, {peak['frequency'][1]:g})"
        for factor, peak in peaks.items()
    )
    clear = all(peak["ratio"] <= spectrum.PEAK for peak in peaks.values())
    met = clear if peaks and (clear or figures["n"]["generated"] >= spectrum.ENOUGH) else None
    return [*listed, _criterion(name, met, told or "too small for grids")]


def vessel_criteria(figures: dict) -> list[dict]:
    listed = []
    for name in HEADLINE:
        row = figures[name]
        title = f"vessels: {name} within the real 10th-90th percentile for at least {VESSEL_SHARE:.0%}"
        if row["range"] is None or row["generated"] is None:
            listed.append(_criterion(title, None, "no vessels to measure"))
            continue
        low, high = row["range"]
        medians = f"{row['generated'][1]:.3g} generated, {row['real'][1]:.3g} real"
        told = f"{row['share']:.0%} within {low:.3g} to {high:.3g}; medians {medians}"
        listed.append(_criterion(title, row["share"] >= VESSEL_SHARE, told))
    return listed


def copying_criterion(figures: dict) -> dict:
    ours, theirs = figures["generated"], figures["heldout"]
    return _criterion(
        f"highest vessel overlap with a training eye below {copying.LIMIT:g}", ours["max"] < copying.LIMIT,
        f"{ours['max']:.2f} of {ours['n']} photographs; {theirs['max']:.2f} of {theirs['n']} held-out real ones",
    )  # fmt: skip


def colour_criteria(figures: dict) -> list[dict]:
    listed = []
    for name in colour.MEANS:
        row = figures[name]
        (mean, std), (real_mean, real_std) = row["generated_mean_std"], row["real_mean_std"]
        both = f"{mean:.1f} ± {std:.1f} generated, {real_mean:.1f} ± {real_std:.1f} real"
        told = f"{row['ratio']:.2f} (n {row['n']}); {both}"
        title = f"mean {name} of photographs: distance to real at most {colour.LIMIT:g}× that of real halves"
        listed.append(_criterion(title, row["ratio"] <= colour.LIMIT, told))
    return listed


def diversity_criterion(figures: dict) -> dict:
    told = f"{_ratio(figures, 'styles', 'real', '.1f')}; {figures['n_maps']} maps × {figures['n_styles']} styles"
    return _criterion(
        f"diversity of styles at least {diversity.LEAST:g} of real diversity", figures["ratio"] >= diversity.LEAST, told
    )


def same_eye_criteria(figures: dict, batch_is_single: bool) -> list[dict]:
    edits = figures["all"]
    named = ", ".join(f"{name} {figures[name]['change']:.2f}" for name in figures if name != "all")
    listed = [
        _criterion(
            f"same style, lesions changed: outside them at most {same_eye.MOST_CHANGE:g}/255 on average",
            edits["change"] <= same_eye.MOST_CHANGE,
            f"{edits['change']:.2f} ({named}); worst of {edits['n']}: {edits['worst']:.2f}",
        ),
        _criterion("a photograph of a batch is that rendered alone, to the byte", batch_is_single, "3 photographs"),
    ]  # fmt: skip
    for key, what, count in (
        ("right", "seen where they are", "lesions"),
        ("gone", "gone from where they were", "freed"),
    ):
        told = ", ".join(f"{short} {_number(row[key])}" for short, row in edits["classes"].items())
        met = None if edits[key] is None else edits[key] >= same_eye.LEAST_RIGHT
        name = f"lesions moved, mirrored or removed are {what}: at least {same_eye.LEAST_RIGHT:.0%}"
        listed.append(_criterion(name, met, f"{_number(edits[key])} of {edits[count]} ({told})"))
    return listed


def table(figures: dict) -> str:
    """The figures of :func:`retinagan.evaluation.photos.evaluate` as lines of at most 120 columns."""
    n = figures["n"]
    lines = [
        f"Photographs of {figures['model']} against {figures['data']}. Synthetic, not for diagnosis.",
        f"generated: {n['generated']}, styles 0-{n['generated'] - 1}, made for the held-out eyes in turn",
        f"of their own maps ({n['own_map']}), or where those are not known of maps sampled for their grade",
        f"real: {n['heldout']} held out ({n['annotated']} with annotated lesions), {n['train']} in training",
        *(f"sha256 of {name}: {sha}" for name, sha in figures["sha256"].items()),
    ]
    lines += _features(figures["features"], "segmenter")
    if "inception" in figures:
        lines += _features(figures["inception"], "Inception (FID, KID)")
    lines += _fidelity(figures["fidelity"])
    lines += _spectrum(figures["spectrum"])
    lines += ["", f"{'Colour, distance to real':<34}{'real halves':>12}{'generated':>12}{'ratio':>8}   n a half"]
    for name, row in figures["colour"].items():
        what = f"photographs' mean {name}" if name in colour.MEANS else f"pixels' {name}, levels"
        lines.append(f"{what:<34}{row['real']:>12.3f}{row['generated']:>12.3f}{row['ratio']:>8.2f}   {row['n']}")
    lines += ["", f"{'Vessels, quartiles':<24}{'real':>28}{'generated':>28}{'share within':>14}"]
    for name, row in figures["vessels"].items():
        cells = ("  ".join(f"{v:.3f}" for v in row[which] or ()) for which in ("real", "generated"))
        lines.append(f"{name:<24}" + "".join(f"{cell or '-':>28}" for cell in cells) + f"{_number(row['share']):>14}")
    lines += ["", f"{'Highest overlap with a training eye':<38}{'n':>6}{'quartiles':>22}{'highest':>9}"]
    for name, row in figures["copying"].items():
        title = {"generated": "generated", "heldout": "real, held-out"}[name]
        lines.append(f"{title:<38}{row['n']:>6}{'  '.join(f'{v:.2f}' for v in row['quartiles']):>22}{row['max']:>9.2f}")
    row = figures["diversity"]
    lines += [
        "", f"Diversity, mean pairwise distance without detail: real {row['real']:.1f}, "
        f"styles of a map {row['styles']:.1f}, maps of a style {row['maps']:.1f}",
    ]  # fmt: skip
    lines += [
        "",
        f"{'Contrast of regions':<24}{'real: regions':>14}{'right':>8}{'median':>8}"
        f"{'generated: regions':>20}{'right':>8}{'median':>8}",
    ]
    for short, real in figures["contrast"]["real"].items():
        made = figures["contrast"]["generated"].get(short)
        cells = f"{real['regions']:>14}{real['right']:>8.2f}{real['median_contrast']:>8.1f}"
        cells += f"{made['regions']:>20}{made['right']:>8.2f}{made['median_contrast']:>8.1f}" if made else ""
        lines.append(f"{short:<24}{cells}")
    lines += ["", "Criteria"]
    words = {True: "met", False: "NOT MET", None: "cannot be told"}
    for criterion in figures["criteria"]:
        lines.append(f"{words[criterion['met']]:>14}  {criterion['name']}")
        lines.append(f"{'':16}{criterion['figures']}")
    return "\n".join(lines)


def _features(figures: dict, space: str) -> list[str]:
    lines = [
        "", f"Distances in the feature space of the {space}; n = {figures['n']} of the same mix of grades against "
        f"{figures['n_heldout']} held-out",
        f"{'':10}{'generated':>12}{'training':>12}{'ratio':>8} |{'half n':>8}{'generated':>12}{'real':>12}{'ratio':>8}",
    ]  # fmt: skip
    for key, name in (("frechet", "Fréchet"), ("kernel", "kernel")):
        row, half = figures[key], figures[key]["halves"]
        text = f"{name:<10}{row['generated']:>12.4g}{row['train']:>12.4g}{_number(row['ratio']):>8} |"
        # The kernel distance is unbiased: that of halves scatters around 0, and no ratio means anything.
        ratio = f"{half['ratio']:.2f}" if key == "frechet" else "-"
        lines.append(text + f"{half['n']:>8}{half['generated']:>12.4g}{half['real']:>12.4g}{ratio:>8}")
    nearest = {k: "  ".join(f"{v:.2f}" for v in figures["nearest"][k]) for k in ("generated", "real")}
    lines.append(f"density {figures['density']:.2f}, coverage {figures['coverage']:.2f} of the held-out ones")
    lines.append(
        f"nearest training photograph, quartiles: generated {nearest['generated']}; held-out {nearest['real']}"
    )
    return lines


def _fidelity(figures: dict) -> list[str]:
    heads = ("Dice", "AUPR")
    lines = [
        "", f"Lesions: the segmenter on {figures['n_maps']} annotated held-out maps in {figures['styles']} styles each",
        f"{'':6}{'photographs':>12}" + "".join(f" |{f'{k}: real':>12}{'generated':>12}{'ratio':>8}" for k in heads),
    ]  # fmt: skip
    for short, row in figures["classes"].items():
        text = f"{short:<6}{row['n_real']:>12}"
        for key in ("dice", "aupr"):
            text += f" |{row[key]['real']:>12.3f}{row[key]['generated']:>12.3f}{row[key]['ratio']:>8.2f}"
        lines.append(text)
    return lines


def _spectrum(figures: dict) -> list[str]:
    edges = figures["edges"]
    middles = [(a * b) ** 0.5 for a, b in zip(edges[:-1], edges[1:], strict=True)]
    lines = ["", "Power, generated over real, by cycles an image", f"{'':12}" + "".join(f"{m:>7.1f}" for m in middles)]
    for plane, ratios in figures["ratios"].items():
        lines.append(f"{plane:<12}" + "".join(f"{ratio:>7.2f}" for ratio in ratios))
    for name, row in zip(("real halves", "5-95 %"), figures["real_halves"], strict=True):
        lines.append(f"{name:<12}" + "".join(f"{ratio:>7.2f}" for ratio in row))
    return lines


def _criterion(name: str, met: bool | None, figures: str) -> dict:
    return {"name": name, "met": met, "figures": figures}


def _ratio(row: dict, over: str, under: str, form: str) -> str:
    return f"{row[over]:{form}} / {row[under]:{form}} = {_number(row['ratio'])}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
