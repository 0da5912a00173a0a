"""Called by Hatchling: a wheel carries what the checkout has at its top; an editable install finds it there."""

from __future__ import annotations

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Shipped(BuildHookInterface):
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "standard":
            build_data["force_include"] |= {path: f"retinagan/_shipped/{path}" for path in self.config["shipped"]}
