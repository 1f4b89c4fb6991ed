from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def bundles():
    return {"torch": Path("/tmp/samp/torch"), "keras": Path("/tmp/samp/keras")}
