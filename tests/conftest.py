"""The app on tiny networks, for tests without a browser."""

from __future__ import annotations

import pytest

from tests.helpers import tiny_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model folder of random weights."""
    return tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def app(folder, monkeypatch):
    from tests.app_pages import new_app  # Streamlit is slow to import, and most tests need none

    monkeypatch.setenv("RETINAGAN_MODEL", str(folder))
    return new_app()
