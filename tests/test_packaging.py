"""What an installed package needs is said once in pyproject.toml; the lists beside it agree."""

from __future__ import annotations

import re
import tomllib

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from retinagan import __version__, resources
from tests.paths import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
EXTRAS = PROJECT["project"]["optional-dependencies"]


def requirements(lines: list[str]) -> dict[str, Requirement]:
    found = [Requirement(line) for line in lines if line.strip() and not line.startswith("#")]
    return {canonicalize_name(one.name): one for one in found}


def read(name: str) -> dict[str, Requirement]:
    return requirements((ROOT / name).read_text("utf-8").splitlines())


def test_the_demo_needs_what_the_package_and_its_app_need():
    demo = read("requirements.txt")
    package = requirements(PROJECT["project"]["dependencies"] + EXTRAS["app"] + EXTRAS["train"])
    assert set(demo) == set(requirements(PROJECT["project"]["dependencies"] + EXTRAS["app"])) | {"torchvision"}
    pinned = ("torch", "torchvision")
    assert all(one.specifier == package[name].specifier for name, one in demo.items() if name not in pinned)
    for name in pinned:
        version = str(demo[name].specifier).removeprefix("==")
        assert package[name].specifier.contains(version), name


def test_tested_versions_are_allowed_ones():
    tested = {name: str(one.specifier).removeprefix("==") for name, one in read("constraints.txt").items()}
    assert all(re.fullmatch(r"[\w.!]+", version) for version in tested.values()), "one version each, nothing local"
    everything = PROJECT["project"]["dependencies"] + [one for extra in EXTRAS.values() for one in extra]
    wanted = requirements([line for line in everything if not line.startswith("retinagan[")]) | read("requirements.txt")
    assert all(one.specifier.contains(tested[name]) for name, one in wanted.items())


def test_what_is_shipped_lies_where_the_code_looks_for_it():
    hook = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"]["custom"]
    assert all((ROOT / path).exists() for path in hook["shipped"])
    for path in (resources.APP_ENTRY, resources.CONFIGS, resources.DEFAULT_MODEL, resources.ASSETS / "examples"):
        assert str(path.relative_to(ROOT)) in hook["shipped"]


def test_a_version_is_written_once():
    assert re.fullmatch(r"\d+\.\d+\.\d+", __version__)
    for name in ("pyproject.toml", "requirements.txt"):
        assert f'"{__version__}"' not in (ROOT / name).read_text("utf-8")
