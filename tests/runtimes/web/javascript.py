"""Modules of ``runtimes/web/`` run by Node, for tests that compare their numbers with Python's."""

from __future__ import annotations

import base64
import json
import subprocess
from typing import Any

import numpy as np

from runtimes.frameworks import node

_DTYPES = {"Uint8Array": "uint8", "Int8Array": "int8", "Int32Array": "int32", "Float32Array": "float32"}

# Arrays travel as {"array": type, "bytes": base64}; what `main` returns comes back as JSON.
_AROUND = """
import fs from 'node:fs';
const types = { Uint8Array, Int8Array, Int32Array, Float32Array };
const given = JSON.parse(fs.readFileSync(0, 'utf8'), (key, value) =>
    value?.array ? new types[value.array](Uint8Array.from(Buffer.from(value.bytes, 'base64')).buffer) : value);
const found = await main(given);
const isArray = (value) => ArrayBuffer.isView(value);
process.stdout.write(JSON.stringify(found, (key, value) => isArray(value) ? {
    array: value.constructor.name,
    bytes: Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64'),
} : value));
"""


def run_javascript(source: str, given: Any) -> Any:
    """What ``main(given)`` of this module source returns. ``import`` in it starts at ``runtimes/web/``."""
    found = node.find_node()
    assert found is not None, node.check()
    done = subprocess.run(
        [str(found.path), "--input-type=module", "-e", source + _AROUND],
        input=json.dumps(given, default=_described),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=node.SCRIPTS,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout, object_hook=_array)


def _described(array: np.ndarray[Any, Any]) -> dict[str, str]:
    name = {dtype: name for name, dtype in _DTYPES.items()}[array.dtype.name]
    return {"array": name, "bytes": base64.b64encode(array.tobytes()).decode()}


def _array(value: dict[str, Any]) -> Any:
    if "array" not in value:
        return value
    return np.frombuffer(base64.b64decode(value["bytes"]), _DTYPES[value["array"]])
