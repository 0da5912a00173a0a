"""Ten sessions draw and render for a minute on the shipped model. Outside the default run: `make test-large`."""

from __future__ import annotations

import os

from retinagan.pipeline import RetinaGAN
from retinagan.resources import DEFAULT_MODEL
from tests.browser.conftest import LOG, running_app
from tests.browser.sessions import draw_together, wrong_pictures

COUNT, SECONDS = 10, 60


def test_ten_sessions_for_a_minute(tmp_path):
    started = []
    with running_app(DEFAULT_MODEL, tmp_path, started) as address:
        found = draw_together(address, started[0], COUNT, lambda _, seconds: seconds < SECONDS)
    wrong = wrong_pictures(found, RetinaGAN.from_pretrained(DEFAULT_MODEL, device="cpu"))
    print(f"\n{COUNT} sessions, {SECONDS} s, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores:")
    print(f"{len(wrong)} wrong pictures of {len(found.pictures)}; {found.summary}")
    assert found.errors == [] and wrong == [] and len(found.pictures) == COUNT
    assert found.growth < 150
    assert "unexpected error" not in (tmp_path / LOG).read_text(errors="replace")
