"""Memory goes back to the system where the C library can, and nothing breaks where it cannot."""

import ctypes
import subprocess
import sys

import pytest

from tf_medyate.prepared import host_memory

PROGRAM = """
from tf_medyate.prepared import host_memory
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096
blocks = [bytes(3000) for _ in range(20000)]
kept = blocks[::200]                     # so that the heap cannot simply shrink from its end
full = resident()
del blocks
freed = resident()
host_memory.return_pages()
print(full - freed, freed - resident())
"""


@pytest.mark.skipif(host_memory._trim is None, reason="this C library has no malloc_trim")
def test_freed_pages_go_back():
    found = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    by_itself, returned = (int(word) for word in found.stdout.split())
    assert returned > 40e6
    assert by_itself < returned / 4


@pytest.mark.parametrize("error", [AttributeError, OSError, TypeError])
def test_another_c_library_is_left_alone(monkeypatch, error):
    def refuse(name):
        raise error("no such thing")

    monkeypatch.setattr(ctypes, "CDLL", refuse)
    monkeypatch.setattr(host_memory, "_trim", host_memory._find_trim())
    assert host_memory._trim is None
    host_memory.collect()
