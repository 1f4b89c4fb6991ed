"""SavedModel to TF Lite, float32, with a dynamic batch; the metadata is a zip appended to the file.

A zip is read from its end and a FlatBuffer from its start, so one file is both; it is how TF Lite's own metadata
library stores associated files.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

from exporter import keras_model
from exporter.base import same_spec
from exporter.conversions.keras2savedmodel import VERSION
from exporter.metadata import metadata
from runtimes.bundle import ModelSpec
from runtimes.errors import ConversionError

SOURCE = "savedmodel"
TARGET = "tflite"
PROCESS = "tensorflow"
artifact_spec = same_spec

check = keras_model.check


def convert(src: Path, out: Path, spec: ModelSpec) -> None:
    """Write one ``.tflite`` file from the SavedModel's ``serving_default``."""
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_saved_model(
        str(src / VERSION), signature_keys=["serving_default"]
    )
    try:
        content = converter.convert()
    except Exception as error:
        raise ConversionError(f"the TF Lite converter cannot take {spec.name}: {error}") from error
    out.write_bytes(content + _zip(metadata(spec), offset=len(content)))


def _zip(texts: dict[str, str], offset: int) -> bytes:
    """A zip whose offsets count from the start of the file that it is appended to."""
    buffer = io.BytesIO()
    buffer.write(b"\0" * offset)
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_DEFLATED) as archive:
        for name, text in texts.items():
            archive.writestr(zipfile.ZipInfo(f"{name}.json", date_time=(1980, 1, 1, 0, 0, 0)), text)
    return buffer.getvalue()[offset:]
