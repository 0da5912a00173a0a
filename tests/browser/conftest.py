"""A running app and a real browser for the tests in this folder.

The app shows the shipped model. Without a ``chromium`` on the PATH these tests are skipped, unless
``RETINAGAN_REQUIRE_BROWSER=1`` says that this is a failure.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from retinagan.pipeline import DEFAULT_MODEL, RetinaGAN
from tests.browser.studio import Studio
from tests.helpers import tiny_model
from tests.paths import ROOT

ARGUMENTS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()
START_SECONDS = 120
LOG = "server.log"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if shutil.which("chromium") or os.environ.get("RETINAGAN_REQUIRE_BROWSER") == "1":
        return
    skip = pytest.mark.skip(
        reason="no chromium on the PATH (apt-get install chromium); RETINAGAN_REQUIRE_BROWSER=1 makes it a failure"
    )
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(skip)


@pytest.fixture(scope="session")
def model_folder() -> Path:
    """The shipped model: lesions of a few pixels mean nothing on smaller ones."""
    return DEFAULT_MODEL


@pytest.fixture(scope="session")
def pipeline(model_folder) -> RetinaGAN:
    return RetinaGAN.from_pretrained(model_folder, device="cpu")


@pytest.fixture(scope="session")
def address(model_folder, tmp_path_factory) -> Iterator[str]:
    """The address of an app that shows the shipped model."""
    with quiet_app(model_folder, tmp_path_factory.mktemp("app")) as found:
        yield found


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory) -> Path:
    """Random weights at a side of 64: for what does not depend on what the pictures show."""
    return tiny_model(tmp_path_factory.mktemp("tiny") / "tiny")


@pytest.fixture(scope="session")
def tiny_pipeline(tiny_folder) -> RetinaGAN:
    return RetinaGAN.from_pretrained(tiny_folder, device="cpu")


@pytest.fixture(scope="session")
def tiny_address(tiny_folder, tmp_path_factory) -> Iterator[str]:
    with quiet_app(tiny_folder, tmp_path_factory.mktemp("tiny-app")) as found:
        yield found


@pytest.fixture
def tiny_studio(browser, tiny_address) -> Iterator[Studio]:
    """A fresh session on the tiny model."""
    with session(browser, tiny_address) as found:
        yield found


@contextmanager
def session(browser, address: str, **options) -> Iterator[Studio]:
    """A fresh session, 1280 × 1000; ``options`` are Playwright's of a context."""
    context = browser.new_context(**({"viewport": {"width": 1280, "height": 1000}, "accept_downloads": True} | options))
    page = context.new_page()
    page.set_default_timeout(60_000)
    yield Studio(page, address)
    context.close()


@contextmanager
def quiet_app(model: Path, folder: Path) -> Iterator[str]:
    """:func:`running_app`; at the end its log must hold no unexpected error."""
    with running_app(model, folder) as found:
        yield found
    text = (folder / LOG).read_text(errors="replace")
    assert "unexpected error" not in text and "Uncaught app" not in text, text[-3000:]


@contextmanager
def running_app(model: Path, folder: Path, started: list[int] | None = None, port: int = 0) -> Iterator[str]:
    """Starts the app on a model folder; yields its address. Its log goes to ``folder``, its process's id to
    ``started``; ``port`` 0 is a free one."""
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        free.bind(("127.0.0.1", port))
        port = free.getsockname()[1]
    log = folder / LOG
    command = [sys.executable, "-m", "streamlit", "run", "web_demo.py", "--server.port", str(port)]
    command += ["--server.headless", "true", "--server.address", "127.0.0.1"]
    with log.open("w") as output:
        server = subprocess.Popen(
            command, cwd=ROOT, env=os.environ | {"RETINAGAN_MODEL": str(model)}, stdout=output, stderr=subprocess.STDOUT
        )
        if started is not None:
            started.append(server.pid)
        try:
            _wait_for(f"http://127.0.0.1:{port}/_stcore/health", server, log)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            try:
                server.wait(timeout=10)
            except subprocess.TimeoutExpired:
                server.kill()


def _wait_for(url: str, server: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            break
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    pytest.fail(f"the app did not start:\n{log.read_text(errors='replace')[-3000:]}")


@pytest.fixture(scope="session")
def browser():
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.fail("RETINAGAN_REQUIRE_BROWSER=1, and no chromium on the PATH (apt-get install chromium)")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield running
        running.close()


@pytest.fixture
def studio(browser, address) -> Iterator[Studio]:
    """A fresh session on the shipped model."""
    with session(browser, address) as found:
        yield found
