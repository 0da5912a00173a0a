"""The app on tiny networks, for tests without a browser; how many cases Hypothesis tries."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

from tests.helpers import tiny_model

# `make fuzz` sets it; tests that name a number of their own keep that.
if cases := os.environ.get("RETINAGAN_FUZZ"):
    settings.register_profile("fuzz", max_examples=int(cases), suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("fuzz")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model folder of random weights."""
    return tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def app(folder, monkeypatch):
    from tests.app_pages import new_app  # Streamlit is slow to import, and most tests need none

    monkeypatch.setenv("RETINAGAN_MODEL", str(folder))
    return new_app()
