"""What the address of a page says is checked before a widget reads it."""

from __future__ import annotations

import pytest

from retinagan.app.link import MAX_SEED, PARAMETERS, checked
from tests.app_pages import errors, new_app, on

SEEDS = f"whole numbers from 0 to {MAX_SEED}"
WRONG = [
    ("draw", "style", "Infinity", SEEDS, 7),
    ("draw", "style", "-1", SEEDS, 7),
    ("draw", "style", "9" * 4000, SEEDS, 7),
    ("draw", "style", str(MAX_SEED + 1), SEEDS, 7),
    ("draw", "style", "٣", SEEDS, 7),
    ("random", "seed", "1e400", SEEDS, 7),
    ("random", "seed", "", SEEDS, 7),
    ("random", "grade", "9", "All, 0, 1, 2, 3, 4", "0"),  # what was chosen before stays
    ("random", "maps", "99", "whole numbers from 1 to 6", 1),
    ("random", "photos", "0", "whole numbers from 1 to 4", 1),
    ("random", "truncation", "nan", "numbers from 0 to 1", 1.0),
    ("styles", "mode", "<script>", "Gallery, Reference, Two styles, Two maps", "Gallery"),
    ("styles", "map_grade", "five", "0, 1, 2, 3, 4, Own", "2"),
    ("progression", "style_seed", "-Infinity", SEEDS, 7),
]


@pytest.mark.parametrize(("page", "name", "text", "words", "default"), WRONG, ids=range(len(WRONG)))
def test_what_is_not_allowed_is_left_out_and_told(app, page, name, text, words, default):
    on(app, page, **{name: text})
    assert errors(app) == []
    told = [box.value.replace("\\", "") for box in app.warning]
    assert len(told) == 1 and f"The address says {name} '{text[:39]}" in told[0] and words in told[0]
    assert len(told[0]) < 400
    assert name not in app.query_params and app.session_state[name] == default
    app.run()
    assert not app.warning and errors(app) == []


def test_it_is_told_on_the_first_page_too_and_the_rest_of_the_link_stays(app):
    app.query_params.update({"grade": "3", "seed": "Infinity", "maps": "2", "photos": "7"})
    app.run()
    assert errors(app) == [] and len(app.warning) == 2
    assert (app.session_state["grade"], app.session_state["seed"], app.session_state["maps"]) == ("3", 7, 2)


def test_a_model_that_is_not_there(app, folder):
    on(app, "about", model="../../etc")
    assert "allowed are tiny" in app.warning[0].value and errors(app) == []


@pytest.mark.parametrize(
    ("page", "link"),
    [
        ("random", {"grade": "3", "seed": str(MAX_SEED), "maps": "6", "photos": "4", "truncation": "0.35"}),
        ("styles", {"mode": "Two styles", "map_grade": "4", "map_seed": "1", "style_b": "3", "position": "35"}),
        ("styles", {"mode": "Two maps", "grade_b": "0", "map_b": "1", "style_seed": "0", "keep": "1-2-3"}),
        ("progression", {"map_seed": "5", "style_seed": "6"}),
        ("draw", {"start": "g3-s7-t0.5", "style": "60"}),
    ],
)
def test_what_the_app_writes_is_allowed(page, link):
    assert checked(link) == (link, [])


def test_the_widgets_allow_what_the_link_does(app):
    """Ranges of number fields and sliders, and the options of choices, as they are on the pages."""
    pages = [("random", {"grade": "0"}), ("progression", {}), ("draw", {})]
    pages += [("styles", {"mode": mode}) for mode in ("Gallery", "Two styles", "Two maps")]
    seen = set()
    for page, link in pages:
        app = on(new_app(), page, **link)
        for widget in (*app.number_input, *app.slider):
            if widget.key in PARAMETERS:
                seen.add(widget.key)
                check = PARAMETERS[widget.key].check
                assert check(f"{widget.min:g}" if widget.key == "truncation" else str(int(widget.min)))
                assert check(f"{widget.max:g}" if widget.key == "truncation" else str(int(widget.max)))
                assert not check(str(int(widget.max) + 1)) and not check("-1")
        for widget in app.segmented_control:
            if widget.key in PARAMETERS:
                seen.add(widget.key)
                assert all(map(PARAMETERS[widget.key].check, widget.options))
    assert seen == PARAMETERS.keys() - {"keep", "start"}
