"""Sessions without a browser: what the page's JavaScript says to the server and hears from it, and nothing else.

Ten browsers would keep two cores busy with themselves; ten of these leave them to the app.
"""

from __future__ import annotations

import io
import json
import time
import urllib.request
import uuid
import zipfile
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import connect

from retinagan.files.maps import read_map_png
from tests.browser.studio import pixels

CANVAS, TICKER = "drawable_canvas", "retinagan_ticker"
LOOK_SECONDS = 0.2
"""Between two looks whether the photograph is made, as the page's own clock."""


class Client:
    """One session, on the page Draw if no other is named.

    Attributes:
        strokes: what is on its canvas, Fabric.js objects.
        steps: how many of them the server has said that it knows.
        photographs: how many different ones it was shown.
    """

    def __init__(self, address: str, query: str, patience: float, page: str = "draw") -> None:
        self.address, self.query, self.patience, self.name = address, query, patience, page
        self.strokes: list[dict[str, Any]] = []
        self.steps = self.photographs = 0
        self._elements: dict[tuple[int, ...], Any] = {}
        self._fragments: dict[tuple[int, ...], str] = {}
        self._known: dict[str, ForwardMsg] = {}
        self._session = self._page = ""
        self._socket = connect(
            f"{address.replace('http', 'ws', 1)}/_stcore/stream",
            subprotocols=["streamlit"], origin=address, max_size=None, open_timeout=patience,
        )  # fmt: skip

    def close(self) -> None:
        self._socket.close()

    # --- what a user does ---

    def open(self) -> None:
        """Open the page; on Draw, wait for the first photograph."""
        self._run()
        if self.name == "draw":
            self.wait()

    def stroke(self, item: dict[str, Any]) -> None:
        """One stroke more on the canvas."""
        self.strokes.append(item)
        value = {"drawing": {"raw": {"objects": self.strokes}, "data": None}}
        self._run(self._fragment(CANVAS), {self._component(CANVAS).id: json.dumps(value)})

    def look(self) -> bool:
        """Run the photograph's part again, as its clock does; whether the photograph is that of the map."""
        self._run(self._fragment(TICKER))
        return any("rg-state rg-state-current" in found.body for found in self._of("html"))

    def wait(self) -> None:
        """Look until the photograph is that of the map."""
        deadline = time.monotonic() + self.patience
        while not self.look():
            assert time.monotonic() < deadline, f"no photograph in {self.patience:.0f} s"
            time.sleep(LOOK_SECONDS)
        self.photographs += 1

    def press(self, label: str = "Pair as ZIP") -> str:
        """Press a download button; the address of its file, which the press makes where it is not there before."""
        button = next(found for found in self._of("download_button") if found.label == label)
        if not button.deferred_file_id:
            return self.address + button.url
        message = BackMsg()
        asked = message.backend_operation_request
        asked.request_id, asked.session_id = uuid.uuid4().hex, self._session
        asked.deferred_file.file_id = button.deferred_file_id
        self._socket.send(message.SerializeToString())
        answer = self._until("backend_operation_response").backend_operation_response
        assert not answer.error_msg, answer.error_msg
        return self.address + answer.deferred_file.url

    def fetch(self, url: str) -> tuple[np.ndarray, np.ndarray]:
        """A pair's map ``uint8 (S, S)`` and photograph ``uint8 (S, S, 3)``."""
        with urllib.request.urlopen(url, timeout=self.patience) as response:
            content = response.read()
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = sorted(name for name in archive.namelist() if PurePosixPath(name).suffix == ".png")
            label_map, photograph = (archive.read(name) for name in names)
        return read_map_png(label_map, None), pixels(photograph)

    def troubles(self) -> list[str]:
        """Error boxes and exceptions on the page."""
        alerts = [found.body for found in self._of("alert") if found.format == found.ERROR]
        return alerts + [found.message for found in self._of("exception")]

    # --- how it says and hears it ---

    def _run(self, fragment: str = "", json_values: dict[str, str] | None = None) -> None:
        message = BackMsg()
        state = message.rerun_script
        state.query_string, state.page_name, state.fragment_id = self.query, self.name, fragment
        state.page_script_hash = self._page
        for key, value in (json_values or {}).items():
            state.widget_states.widgets.add(id=key, json_value=value)
        self._socket.send(message.SerializeToString())
        self._until("script_finished")
        assert self.troubles() == []

    def _until(self, kind: str) -> ForwardMsg:
        deadline = time.monotonic() + self.patience
        while True:
            message = ForwardMsg.FromString(self._socket.recv(max(0.1, deadline - time.monotonic())))
            if message.WhichOneof("type") == "ref_hash":  # sent before
                path = list(message.metadata.delta_path)
                known, message = message, ForwardMsg.FromString(self._known[message.ref_hash])
                message.metadata.CopyFrom(known.metadata)
                message.metadata.delta_path[:] = path
            elif message.metadata.cacheable:
                self._known[message.hash] = message.SerializeToString()
            found = message.WhichOneof("type")
            if found == "new_session":
                self._session = message.new_session.initialize.session_id
            elif found == "navigation":
                self._page = message.navigation.page_script_hash
            elif found == "delta":
                self._take(tuple(message.metadata.delta_path), message.delta)
            if found == kind:
                return message

    def _take(self, path: tuple[int, ...], delta: Any) -> None:
        if delta.WhichOneof("type") != "new_element":
            return
        element = delta.new_element
        self._elements[path], self._fragments[path] = element, delta.fragment_id
        if 'data-steps="' in element.html.body:
            self.steps = int(element.html.body.split('data-steps="')[1].split('"')[0])

    def _of(self, kind: str) -> list[Any]:
        """Elements of the page; those that a later run no longer has stay among them."""
        return [getattr(e, kind) for e in self._elements.values() if e.WhichOneof("type") == kind]

    def _component(self, name: str) -> Any:
        return next(found for found in self._of("bidi_component") if name in found.component_name)

    def _fragment(self, name: str) -> str:
        """The part of the page that holds a component."""
        wanted = self._component(name)
        return next(self._fragments[p] for p, e in self._elements.items() if e.bidi_component.id == wanted.id)
