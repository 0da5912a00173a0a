"""Devices and memory."""

import subprocess
import sys

import pytest

PAGES = """
import resource
import numpy as np
from retinagan.device import keep_freed_memory
if {keep}:
    keep_freed_memory()
for _ in range(3):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.ones(16_000_000, np.float32)  # 64 MB, freed at once
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def pages(keep: bool) -> int:
    """Pages that the third of three equal arrays asked the system for."""
    told = subprocess.run([sys.executable, "-c", PAGES.format(keep=keep)], check=True, capture_output=True, text=True)
    return int(told.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc alone is asked to")
def test_freed_memory_is_used_again():
    asked = pages(False)
    if asked < 100:
        pytest.skip("this C library keeps freed memory by itself")
    assert pages(True) < asked / 10
