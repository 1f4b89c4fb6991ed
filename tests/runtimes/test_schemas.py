"""The JSON Schemas are those of the dataclasses, and what fwexport writes is of them."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from conftest import fwexport
from json_schema import faults

from runtimes import schemas
from runtimes.explanation import Cause, Explanation, LayerError
from runtimes.machine import describe
from runtimes.rows import SCHEMA, VerifyResult, VerifyRow

ROW = VerifyRow("torch", "onnx", "onnxruntime", "cpu", "cpu", "mismatch", top1_interval=(0.9, 1.0))
EXPLAINED = Explanation(
    first_layers=("conv2",),
    layers=(LayerError("conv1", "Conv2d", 0.7, "x"), LayerError("bn1", "BatchNorm2d")),
    causes=(Cause("another epsilon", "source", "1e-3 in place of 1e-5", 1.2),),
)


def schema(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(schemas.path(name).read_text())
    return found


def result(row: VerifyRow = ROW) -> Any:
    encoded = msgspec.json.encode(
        VerifyResult(SCHEMA, "2026-01-01T00:00:00+00:00", describe(), (row,), ("a note",))
    )
    return json.loads(encoded)


@pytest.mark.parametrize("name", schemas.OF)
def test_a_schema_is_that_of_its_dataclass(name: str) -> None:
    """After a change of the dataclass: `make schemas`."""
    assert schemas.path(name).read_bytes() == schemas.generated(name)
    version = schemas.OF[name][1]
    assert schema(name)["$id"] == f"urn:fwexport:schema:{name}:{version}"
    assert all(definition["description"] for definition in schema(name)["$defs"].values())


def test_every_schema_file_has_its_dataclass() -> None:
    files = {path.name for path in Path(schemas.__file__).parent.glob("*.json")}
    assert files >= {schemas.path(name).name for name in schemas.OF}
    assert {name.rpartition("-")[0] for name in files} == set(schemas.OF)


@pytest.mark.parametrize("name", ["verify", "bench", "manifest", "golden/golden"])
def test_the_files_of_a_bundle_are_of_their_schemas(bundles: dict[str, Path], name: str) -> None:
    for folder in bundles.values():
        written = json.loads((folder / f"{name}.json").read_text())
        assert faults(written, schema(name.rpartition("/")[2])) == []


def test_what_build_prints_and_the_agreement_are_of_their_schemas(job: tuple[Path, object]) -> None:
    assert faults(job[1], schema("build")) == []
    assert faults(json.loads((job[0] / "agreement.json").read_text()), schema("agreement")) == []


def test_what_verify_prints_is_of_the_schema_of_its_file(own_bundle: Path, tmp_path: Path) -> None:
    (own_bundle / "model.tflite").write_bytes(b"no model")
    both = tmp_path / "both"
    both.mkdir()
    own_bundle.rename(both / "torch")
    done = fwexport("verify", both, "--format", "onnx", "--format", "tflite", "--device", "cpu", "--json")
    printed = json.loads(done.stdout)
    assert {row["outcome"] for row in printed["rows"]} == {"passed", "failed"}
    assert faults(printed, schema("verify")) == []


def test_an_explanation_is_of_the_schema() -> None:
    assert faults(result(replace(ROW, explanation=EXPLAINED)), schema("verify")) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"outcome": "fine"}, "$.rows[0].outcome is 'fine'"),
        ({"n": 1.5}, "$.rows[0].n is 1.5, no integer"),
        ({"top1_interval": [0.9]}, "$.rows[0].top1_interval has only 1 items"),
        ({"max_noise_ratio": "large"}, "no number"),
        ({"versions": {"onnx": 1}}, "$.rows[0].versions.onnx is 1, no string"),
        ({"colour": "red"}, "$.rows[0] has an unknown colour"),
    ],
)
def test_what_is_not_of_the_schema_is_seen(change: dict[str, object], said: str) -> None:
    wrong = copy.deepcopy(result())
    wrong["rows"][0] |= change
    assert said in " ".join(faults(wrong, schema("verify")))
    del wrong["machine"]
    wrong["schema"] = 1
    assert {"$ has no machine", "$.schema is 1, not 2"} <= set(faults(wrong, schema("verify")))


def test_the_command_line_prints_a_schema() -> None:
    assert fwexport("schema", "verify").stdout.encode() == schemas.path("verify").read_bytes()
    assert [line.split()[0] for line in fwexport("schema").stdout.splitlines()] == list(schemas.OF)
    assert "'bench'" in fwexport("schema", "bensh").stderr
