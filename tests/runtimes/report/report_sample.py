"""Two bundles as the earlier stages leave them, made through their dataclasses; and the ugly cases."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from runtimes.bundle import Artifact, Failure, Manifest, ModelSpec, Source, TensorSpec, save_manifest
from runtimes.doubts import Doubt
from runtimes.explanation import Cause, Explanation, LayerError
from runtimes.machine import Machine
from runtimes.measuring.flags import Flag
from runtimes.measuring.latency import Latency
from runtimes.rows import SCHEMA, Agreement, BenchResult, BenchRow, VerifyResult, VerifyRow, save

HOSTILE = '<script>alert("x")</script> | **bold** `code [link](https://example.org/x) \x1b[31mred'
LONG_REASON = (
    "probabilities, batch 7: max e/n is 1204.3 (limit 24) at sample 17 `zeros`, median 310 (limit 8); the outputs "
    "agree again under the hypothesis: transposed H/W. First layer that diverges: conv2d_1 (Conv2D), after "
    "Transpose_3. Reproduce: fwexport verify build/keras --format tflite --sample 17"
)

FORMATS = ("torchscript", "onnx", "savedmodel", "tflite", "tfjs", "keras")
SIZES = {
    "torch": (1_702_911, 1_689_214, 1_771_334, 1_688_020, 1_695_771, 1_724_406),
    "keras": (1_741_230, 1_690_870, 1_804_112, 1_688_404, 1_696_255, 5_092_377),
}
EDGES = {
    "torch": {
        "torchscript": ("torch2torchscript",),
        "onnx": ("torch2onnx",),
        "savedmodel": ("torch2onnx", "onnx2keras", "keras2savedmodel"),
        "tflite": ("torch2onnx", "onnx2keras", "keras2savedmodel", "savedmodel2tflite"),
        "tfjs": ("torch2onnx", "onnx2keras", "keras2savedmodel", "savedmodel2tfjs"),
        "keras": ("torch2onnx", "onnx2keras"),
    },
    "keras": {
        "torchscript": ("keras2torchscript",),
        "onnx": ("keras2onnx",),
        "savedmodel": ("keras2savedmodel",),
        "tflite": ("keras2savedmodel", "savedmodel2tflite"),
        "tfjs": ("keras2savedmodel", "savedmodel2tfjs"),
        "keras": (),
    },
}
# (artifact, runtime, backend, worst e/n, median e/n, p50 at batch 1 in ms, p50 at batch 32 in ms)
RUNS = (
    ("torchscript", "torchscript", "torch", 1.0, 0.62, 0.412, 4.61),
    ("onnx", "onnxruntime", "cpu", 1.31, 0.71, 0.231, 3.92),
    ("savedmodel", "savedmodel", "tensorflow", 2.04, 0.93, 1.18, 6.37),
    ("tflite", "litert", "xnnpack", 4.92, 2.31, 0.214, 6.9),
    ("tfjs", "tfjs", "wasm", 5.31, 2.4, 3.92, 61.4),
    ("tfjs", "tfjs", "js", 6.77, 3.02, 48.3, 1502.0),
    ("keras", "keras", "tensorflow", 2.04, 0.93, 21.7, 28.2),
)
MACHINE = Machine(
    cpu="AMD EPYC 7B13",
    cores=2,
    memory_bytes=8_342_000_000,
    system="Linux-6.1.0-x86_64-with-glibc2.36",
    python="3.11.9",
    load_1m=0.6,
    governor=None,
    gpus=(),
    cores_total=4,
    smt=True,
    turbo=False,
    inside=("virtual machine",),
    variables={"OMP_NUM_THREADS": "2"},
)
VERSIONS = {
    "torchscript": {"torch": "2.13.0"},
    "onnxruntime": {"onnxruntime": "1.24.1"},
    "savedmodel": {"tensorflow": "2.21.0"},
    "litert": {"ai-edge-litert": "2.1.0"},
    "tfjs": {"@tensorflow/tfjs-core": "4.22.0", "node": "22.14.0"},
    "keras": {"keras": "3.12.1", "tensorflow": "2.21.0"},
}


def sha(*words: str) -> str:
    return hashlib.sha256("/".join(words).encode()).hexdigest()


def manifest(source: str, model: str = "ImageClassifier") -> Manifest:
    torch = source == "torch"
    shape = (None, 1, 28, 28) if torch else (None, 28, 28, 1)
    inputs = (TensorSpec("image", "float32", shape, "NCHW" if torch else "NHWC", "image"),)
    kind: Any = "logits" if torch else "probabilities"
    outputs = (TensorSpec(kind, "float32", (None, 10), "NC", kind),)
    return Manifest(
        schema=1,
        created="2026-03-04T10:20:30+00:00",
        fwexport="0.1.0",
        model=ModelSpec(model, inputs, outputs, labels=tuple("0123456789")),
        source=Source(
            source,
            "torch_code" if torch else "keras_file",
            "source",
            {"torch": "2.13.0"} if torch else {"keras": "3.12.1"},
            421_642,
        ),
        artifacts=tuple(
            Artifact(
                format=name,
                path=name,
                sha256=sha(source, name),
                size_bytes=size,
                inputs=inputs,
                outputs=outputs,
                edges=EDGES[source][name],
                convert_s=0.31 + 1.7 * i if EDGES[source][name] else None,
            )
            for i, (name, size) in enumerate(zip(FORMATS, SIZES[source], strict=True))
        ),
    )


def verify_result(source: str) -> VerifyResult:
    rows = tuple(
        VerifyRow(
            source=source,
            artifact=artifact,
            runtime=runtime,
            device="cpu",
            backend=backend,
            outcome="passed",
            n=91,
            max_noise_ratio=worst,
            median_noise_ratio=median,
            max_abs_error=worst * 3.1e-7,
            sqnr_db=139.6,
            top1_agreement=1.0,
            top1_interval=(0.98981, 1.0),
            accuracy=0.9833 if source == "torch" else 0.9778,
            source_accuracy=0.9833 if source == "torch" else 0.9778,
            accuracy_change=0.0,
            accuracy_change_interval=(-0.01056, 0.01056),
            mcnemar_p=1.0,
            heldout_n=360,
            device_proof=f"{backend}: every tensor and kernel on the CPU",
            artifact_sha256=sha(source, artifact),
            versions=VERSIONS[runtime],
        )
        for artifact, runtime, backend, worst, median, _, _ in RUNS
    )
    notes = ("float64 reference of 80 samples in 0.4 s",)
    return VerifyResult(SCHEMA, "2026-03-04T10:21:02+00:00", MACHINE, rows, notes)


def latency(p50_ms: float, flags: tuple[Flag, ...] = ()) -> Latency:
    """Some two seconds of calls, in two processes of three rounds; what too few of them say nothing of is None."""
    p50, n = p50_ms * 1e-3, max(4, int(2000 / p50_ms))

    def around(factor: float, width: float) -> tuple[float, float]:
        return p50 * factor * (1 - width), p50 * factor * (1 + width)

    return Latency(
        n=n,
        p50_s=p50,
        mean_s=p50 * 1.05,
        p90_s=p50 * 1.2 if n >= 44 else None,
        p99_s=p50 * 1.7 if n >= 662 else None,
        p999_s=p50 * 4.1 if n >= 6636 else None,
        p50_interval=around(1.0, 0.006) if n >= 6 else None,
        p90_interval=around(1.2, 0.011) if n >= 44 else None,
        p99_interval=around(1.7, 0.04) if n >= 662 else None,
        p90_bound_s=p50 * 1.22 if n >= 44 else None,
        rounds_p50_s=((p50 * 0.998, p50, p50 * 1.001), (p50, p50 * 1.003, p50 * 0.999)),
        flags=flags,
    )


def bench_result(source: str) -> BenchResult:
    slower = 1.0 if source == "torch" else 1.07
    rows = tuple(
        BenchRow(
            source=source,
            artifact=artifact,
            runtime=runtime,
            device="cpu",
            backend=backend,
            threads=2,
            batch=batch,
            processes=2,
            import_s=0.02 + 0.6 * i,
            load_s=0.012 * slower * (i + 1),
            first_s=p50 * 3e-3,
            compute=latency(p50 * slower, ("drift", "unsteady") if backend == "js" else ()),
            warmup_n=20,
            throughput_per_s=batch * 1000 / p50 / slower,
            warmup_s=0.15,
            loaded_rss_bytes=135_000_000 + 61_000_000 * i,
            peak_rss_bytes=140_000_000 + 61_000_000 * i + 400_000 * batch,
            added_rss_bytes=9_000_000 + 4_100_000 * i + 400_000 * batch,
            stable=backend != "js",
            size_bytes=1_700_000,
            artifact_sha256=sha(source, artifact),
            verdict="passed",
            versions=VERSIONS[runtime],
            settings={"spinning": "off"} if runtime == "onnxruntime" else {},
        )
        for i, (artifact, runtime, backend, _, _, one, many) in enumerate(RUNS)
        for batch, p50 in ((1, one), (32, many))
    )
    machine = replace(MACHINE, doubts=(Doubt("load", "other programs were running: load 3.1 on 2 cores"),))
    doubts = (Doubt("steal", "the host took 4 % of the CPU time for others"),)
    return BenchResult(SCHEMA, "2026-03-04T10:22:40+00:00", machine, "quick", rows, doubts=doubts)


def history(source: str) -> dict[str, Any]:
    losses, accuracies = {
        "torch": ((0.71, 0.19, 0.121, 0.088, 0.0694), (0.9417, 0.9639, 0.975, 0.9806, 0.9833)),
        "keras": ((0.83, 0.24, 0.151, 0.104, 0.0811), (0.925, 0.9583, 0.9667, 0.975, 0.9778)),
    }[source]
    seconds = (1.62, 1.31, 1.3, 1.33, 1.32) if source == "torch" else (4.71, 2.02, 1.98, 2.01, 2.0)
    epochs = [
        {"loss": loss, "accuracy": accuracy, "seconds": s}
        for loss, accuracy, s in zip(losses, accuracies, seconds, strict=True)
    ]
    return {
        "schema": 1,
        "framework": source,
        "backend": "torch" if source == "torch" else "tensorflow",
        "device": "cpu",
        "data": "digits",
        "seed": 0,
        "batch_size": 32,
        "amp": False,
        "train_samples": 1437,
        "heldout_samples": 360,
        "parameters": 421_642,
        "epochs": epochs,
        "final_loss": losses[-1],
        "final_accuracy": accuracies[-1],
        "samples_per_s": 1089.4 if source == "torch" else 711.2,
        "a_field_of_tomorrow": [1, 2],
    }


def write_bundle(folder: Path, source: str, **changed: Any) -> Path:
    """A bundle's JSON files. A keyword replaces what is written under that name; None leaves it out."""
    folder.mkdir(parents=True)
    save_manifest(folder, changed.get("manifest", manifest(source)))
    for name, made in (("verify", verify_result(source)), ("bench", bench_result(source))):
        result = changed.get(name, made)
        if result is not None:
            save(folder / f"{name}.json", result)
    trained = changed.get("history", history(source))
    if trained is not None:
        (folder / "source").mkdir()
        (folder / "source" / "history.json").write_bytes(msgspec.json.encode(trained))
    return folder


def name_of(row: VerifyRow | BenchRow) -> str:
    return "/".join((row.source, row.artifact, row.runtime, row.device, row.backend))


def agreement(n: int = 360) -> Agreement:
    names = tuple(name_of(row) for source in ("torch", "keras") for row in verify_result(source).rows)
    same = {True: 1.0, False: 355 / n}
    half = len(names) // 2
    order = range(len(names))
    square = tuple(tuple(same[(i < half) == (j < half)] for j in order) for i in order)
    return Agreement(SCHEMA, n, names, square)


def write_all(folder: Path) -> Path:
    """Both bundles and their agreement, all passed."""
    for source in ("torch", "keras"):
        write_bundle(folder / source, source)
    save(folder / "agreement.json", agreement())
    return folder


def explanation() -> Explanation:
    """Of a network of 60 layers whose twentieth is wrong, folded into the next, by a hostile name."""
    names = [HOSTILE if number == 20 else f"features.{number}" for number in range(60)]
    ratios = [0.0, *[1.2] * 19, None, *[1e12] * 38, None]
    layers = [
        LayerError(name, "Conv2d", ratio, "" if name == HOSTILE else f"{name}/Conv2D;{HOSTILE}")
        for name, ratio in zip(names, ratios, strict=True)
    ]
    cause = Cause("flatten order", "source", f"the weights of {HOSTILE} are in NHWC order", 2.1)
    return Explanation((HOSTILE, "features.21"), "features.19", tuple(layers), (cause,), ("8 samples",))


def write_ugly(folder: Path) -> Path:
    """A mismatch, a GPU that is not there, a crash, a failed export, hostile words, figures that are None."""
    verified, benched = verify_result("keras"), bench_result("keras")
    rows = list(verified.rows)
    rows[3] = replace(
        rows[3],
        outcome="mismatch",
        reason=LONG_REASON,
        max_noise_ratio=1204.3,
        median_noise_ratio=310.0,
        max_abs_error=0.41,
        sqnr_db=11.2,
        top1_agreement=0.9194,
        top1_interval=(0.88636, 0.94539),
        accuracy=0.9111,
        accuracy_change=-0.0667,
        accuracy_change_interval=(-0.09888, -0.04144),
        mcnemar_p=3.03e-06,
        explanation=explanation(),
    )
    rows.append(
        VerifyRow(
            "keras",
            "savedmodel",
            "savedmodel",
            "gpu",
            "tensorflow",
            "unavailable",
            "TensorFlow sees no GPU on this machine; install `tensorflow[and-cuda]` where there is one",
        )
    )
    rows.append(VerifyRow("keras", "onnx", "onnxruntime", "cuda", "cuda", "crashed", HOSTILE))
    timed = [
        replace(row, outcome="timeout", reason="no answer in 600 s", compute=None, stable=None)
        if row.backend == "js" and row.batch == 32
        else replace(row, verdict="mismatch", settings={HOSTILE: HOSTILE}, precision=HOSTILE)
        if row.artifact == "tflite"
        else row
        for row in benched.rows
    ]
    write_bundle(
        folder / "keras",
        "keras",
        manifest=manifest("keras", HOSTILE),
        verify=replace(verified, rows=tuple(rows), notes=(HOSTILE,)),
        bench=replace(benched, rows=tuple(timed), doubts=(Doubt("steal", HOSTILE),)),
    )
    whole = manifest("torch")
    failure = Failure("tfjs", "savedmodel2tfjs", "no kernel for op `Erf` (node /head/gelu)")
    cut = replace(
        whole, artifacts=tuple(a for a in whole.artifacts if a.format != "tfjs"), failures=(failure,)
    )
    rows = [row for row in verify_result("torch").rows if row.artifact != "tfjs"]
    write_bundle(
        folder / "torch",
        "torch",
        manifest=cut,
        verify=replace(verify_result("torch"), rows=tuple(rows)),
        bench=None,
        history=None,
    )
    return folder


def epochs(count: int) -> list[dict[str, float]]:
    return [{"loss": 1 / i, "accuracy": 1 - 0.5 / i, "seconds": 1.0} for i in range(1, count + 1)]
