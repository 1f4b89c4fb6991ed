"""Every module in the two plugin folders keeps its contract."""

from __future__ import annotations

import subprocess
import sys

import pytest

from exporter import base
from exporter.converters import ENVIRONMENT
from runtimes import base as adapters
from runtimes.browser import find
from runtimes.formats import FILES


@pytest.mark.parametrize("name", base.names())
def test_a_conversion_is_named_by_its_ends_and_keeps_the_contract(name: str) -> None:
    edge = base.conversion(name)
    assert name == f"{edge.SOURCE}2{edge.TARGET}"
    assert edge.PROCESS in ENVIRONMENT
    assert isinstance(edge.FIXES_BATCH, bool)
    assert edge.check() is None or "pip install" in str(edge.check())
    assert callable(edge.convert)
    assert callable(edge.artifact_spec)
    assert edge.TARGET in FILES


@pytest.mark.parametrize("name", adapters.names())
def test_a_runtime_keeps_the_contract(name: str) -> None:
    runtime = adapters.runtime(name)
    assert set(runtime.FORMATS) <= set(FILES)
    assert "cpu" in runtime.DEVICES
    assert all(runtime.DEVICES.values())
    assert isinstance(runtime.FIXED_BATCH, tuple)
    assert runtime.check("cpu") is None or (runtime.IN_BROWSER and find.check())


def test_every_format_has_a_conversion_and_a_runtime() -> None:
    written = {base.conversion(name).TARGET for name in base.names()}
    run = {format for name in adapters.names() for format in adapters.runtime(name).FORMATS}
    assert written == run == set(FILES)


def test_packages_and_help_import_no_framework() -> None:
    code = (
        "import sys, exporter, runtimes, exporter.cli, exporter.base, runtimes.base, runtimes.pool\n"
        "[exporter.base.conversion(n) for n in exporter.base.names()]\n"
        "[runtimes.base.runtime(n) for n in runtimes.base.names()]\n"
        "bad = {'torch', 'tensorflow', 'keras', 'onnx', 'onnxruntime', 'sklearn', 'ai_edge_litert'} & set(sys.modules)\n"
        "assert not bad, bad"
    )
    subprocess.run([sys.executable, "-P", "-c", code], check=True, timeout=60)


def test_runtimes_never_import_the_exporter() -> None:
    code = (
        "import sys, pkgutil, importlib, runtimes\n"
        "sys.modules['exporter'] = None\n"
        "for m in pkgutil.walk_packages(runtimes.__path__, 'runtimes.'):\n"
        "    importlib.import_module(m.name)\n"
    )
    subprocess.run([sys.executable, "-P", "-c", code], check=True, timeout=60)
