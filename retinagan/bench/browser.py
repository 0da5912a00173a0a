"""The app in a real browser. A checkout's tests drive it; here they are called."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path

from retinagan.resources import ROOT

SCRIPT = "tests/bench_app.py"


def check_browser() -> None:
    """Raises ValueError where the app cannot be measured in a browser."""
    if not (ROOT / SCRIPT).is_file():
        raise ValueError(
            f"--browser drives the app with {SCRIPT}, which an installed package does not have: "
            "run it in a checkout (make bench)"
        )
    for package in ("playwright", "streamlit"):
        if importlib.util.find_spec(package) is None:
            raise ValueError(f"--browser needs {package}: pip install 'retinagan[dev]', or leave --browser out")
    if shutil.which("chromium") is None:
        raise ValueError("--browser needs a chromium on the PATH (apt-get install chromium), or leave --browser out")


def measure_app(folder: str) -> dict[str, float]:
    """Title → figure, of the app on the model in ``folder``; in seconds where the title names no unit.

    Raises:
        RuntimeError: the app or the browser failed.
    """
    module = SCRIPT.removesuffix(".py").replace("/", ".")
    command = [sys.executable, "-m", module, str(Path(folder).resolve())]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{SCRIPT} failed: {(done.stderr.strip().splitlines() or ['?'])[-1]}")
    figures: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return figures
