"""Ten sessions draw and render for a minute on the shipped model. Outside the default run: `make test-large`."""

from __future__ import annotations

from retinagan.pipeline import DEFAULT_MODEL, RetinaGAN
from tests.browser.conftest import *  # noqa: F403 - its fixtures
from tests.browser.conftest import LOG, running_app
from tests.browser.sessions import check, draw_together

COUNT, SECONDS = 10, 60


def test_ten_sessions_for_a_minute(browser, tmp_path):
    started = []
    with running_app(DEFAULT_MODEL, tmp_path, started) as address:
        found = draw_together(browser, address, started[0], COUNT, SECONDS)
    print(f"\n{COUNT} sessions, {SECONDS} s: {found.strokes} strokes, {found.photographs} photographs shown")
    print("memory of the server, MiB:", " ".join(f"{value:.0f}" for value in found.memory))
    check(found, RetinaGAN.from_pretrained(DEFAULT_MODEL, device="cpu"))
    assert found.growth < 150
    assert "unexpected error" not in (tmp_path / LOG).read_text(errors="replace")
