"""``retinagan demo``: the app in the browser."""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
import sys
from typing import Any

from retinagan.cli.arguments import add_command, number
from retinagan.resources import APP_ENTRY, model_folder


def add(commands: Any) -> None:
    parser = add_command(
        commands,
        "demo",
        run,
        "Start the app in the browser.",
        "Prints its address; Ctrl+C ends it.",
        "--port 8600",
    )
    parser.add_argument("--model", help="model folder (default: checkpoints/default)")
    parser.add_argument("--host", default="localhost", help="0.0.0.0 lets other machines in; the app has no log-in")
    parser.add_argument("--port", type=number(int, 1, 65535, "port"), default=8501, help="1-65535 (default 8501)")


def run(options: argparse.Namespace) -> int:
    if importlib.util.find_spec("streamlit") is None:
        raise FileNotFoundError("the app needs Streamlit: pip install 'retinagan[app]'")
    environment = dict(os.environ)
    if options.model is not None:
        environment["RETINAGAN_MODEL"] = str(model_folder(options.model).absolute())
    command = [sys.executable, "-m", "streamlit", "run", str(APP_ENTRY), "--server.headless", "true"]
    command += ["--server.address", options.host, "--server.port", str(options.port)]
    print(f"RetinaGAN: http://{options.host}:{options.port}", flush=True)
    if os.name == "posix":  # the app takes this process over, and so gets its signals
        os.execve(sys.executable, command, environment)
    return subprocess.call(command, env=environment)
