"""What timing itself costs, and what it does to the process that it times in."""

import platform
import subprocess
import sys

import numpy as np
import pytest

from runtimes.base import sample_calls

# Page faults of a model that takes 8 MB for each run and gives them back, before and after something was timed.
FAULTS = """
import resource
import numpy as np
from runtimes.base import sample_calls

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        [np.ones(1 << 18) for _ in range(4)]
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

faults()
print(faults())
sample_calls([lambda: None], 0.0, 1, 1_000_000)
print(faults())
"""


def test_the_harness_adds_less_than_a_microsecond_to_a_sample() -> None:
    assert np.median(sample_calls([lambda: None] * 8, 0.05, 1000, 100_000)) < 1000


def test_times_are_a_whole_array_of_their_own() -> None:
    first = sample_calls([lambda: None], 0.0, 5, 100)
    second = sample_calls([lambda: None], 0.0, 100, 100)
    assert (first.shape, second.shape) == ((5,), (100,))
    assert first.dtype == np.int64
    assert (first > 0).all()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other mallocs have no threshold that moves")
def test_timing_leaves_malloc_as_it_was() -> None:
    """Or what is measured would run in memory that a program which only runs the model has to ask for again."""
    done = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True)
    before, after = map(int, done.stdout.split())
    assert before > 1000
    assert after > before / 2
