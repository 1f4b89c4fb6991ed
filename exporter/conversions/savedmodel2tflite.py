"""SavedModel to TF Lite, float32, with a dynamic batch or for one size; the metadata is a zip appended to the file.

A zip is read from its end and a FlatBuffer from its start, so one file is both; it is how TF Lite's own metadata
library stores associated files.
"""

from __future__ import annotations

import re
import tempfile
import zipfile
from pathlib import Path

from exporter.base import same_spec
from exporter.frameworks import keras_model, saved_model
from exporter.frameworks.saved_model import SERVING, VERSION
from exporter.metadata import metadata
from runtimes.batches import fixed_batch
from runtimes.bundle import ModelSpec
from runtimes.errors import ConversionError

SOURCE = "savedmodel"
TARGET = "tflite"
PROCESS = "tensorflow"
FIXES_BATCH = True
artifact_spec = same_spec

check = keras_model.check


def convert(src: Path, out: Path, spec: ModelSpec) -> None:
    """Write one ``.tflite`` file from the SavedModel's ``serving_default``."""
    if fixed_batch(spec.inputs) is None:
        content = _converted(src, spec)
    else:
        with tempfile.TemporaryDirectory(dir=out.parent) as scratch:
            content = _converted(saved_model.retraced(src, Path(scratch), spec), spec)
    out.write_bytes(content)
    with zipfile.ZipFile(out, "a", zipfile.ZIP_DEFLATED) as archive:
        for name, text in metadata(spec).items():
            archive.writestr(zipfile.ZipInfo(f"{name}.json", date_time=(1980, 1, 1, 0, 0, 0)), text)


def _converted(src: Path, spec: ModelSpec) -> bytes:
    """The content of the file. Raises ConversionError with the converter's reason."""
    # What tf.lite.TFLiteConverter.from_saved_model ends in. Before that it loads the model three times, for checks and
    # metadata of its own, and takes twice as long.
    from tensorflow.lite.python.convert import convert_saved_model

    try:
        content: bytes = convert_saved_model(
            saved_model_dir=str(src / VERSION),
            saved_model_version=1,
            saved_model_tags={"serve"},
            saved_model_exported_names=[SERVING],
        )
    except Exception as error:
        raise ConversionError(
            f"the TF Lite converter cannot take {spec.name}: {_reason(str(error))}"
        ) from error
    return content


def _reason(message: str) -> str:
    """The operators that TF Lite lacks, where that is the reason; else the converter's first error, without its graph."""
    missing = re.findall(r"^(?:TF Select|Custom) ops: (.+)$", message, re.M)
    if missing:
        return f"TF Lite has no operator for {', '.join(missing)}. Replace the layers that use it."
    if "TensorListReserve" in message:
        return (
            "its recurrent layers loop over too many steps to be written out, and TF Lite's loops need to know the "
            "batch. Export for one batch: --fixed-batch 1."
        )
    errors = re.findall(r"error: (?:loc\(.*\): )?(.+)$", message, re.M)
    return str(errors[0] if errors else message.partition("\n")[0])
