"""The zoo: what stands in it, by name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

NETS = Path(__file__).parent / "nets"

# What the families' authors do to pixels of 0 to 255. Some of Keras's do it inside.
NORMALIZED = (
    {"op": "scale", "factor": 1 / 255},
    {"op": "normalize", "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]},
)
CENTRED = (
    {"op": "scale", "factor": 1 / 127.5},
    {"op": "normalize", "mean": [1.0, 1.0, 1.0], "std": [1.0, 1.0, 1.0]},
)
RAW = ({"op": "scale", "factor": 1.0},)

IMAGE = (3, 32, 32)
LARGE = (3, 64, 64)


@dataclass(frozen=True)
class Model:
    """A model: the file in ``nets/`` that has it, or ``keras.applications`` or transformers where that is empty.

    ``shape`` is its input's without the batch; ``arithmetic`` is what is done to pixels, empty where it takes no image.
    """

    name: str
    framework: Literal["torch", "keras", "huggingface"]
    shape: tuple[int, ...]
    file: str = ""
    arithmetic: tuple[dict[str, Any], ...] = ()

    @property
    def preprocessing(self) -> tuple[dict[str, Any], ...]:
        """As the manifest has it."""
        if not self.arithmetic:
            return ()
        height, width = self.shape[:2] if self.framework == "keras" else self.shape[1:]
        return {"op": "resize", "height": height, "width": width, "filter": "bilinear"}, *self.arithmetic

    @property
    def code(self) -> str:
        """``file.py:name``, as the command line takes it."""
        return f"{NETS / self.file}.py:{self.name}"


def _torch(file: str, shape: tuple[int, ...], *names: str) -> list[Model]:
    arithmetic = NORMALIZED if len(shape) == 3 else ()
    return [Model(name, "torch", shape, file, arithmetic) for name in names]


def _keras(side: int, *names: str, arithmetic: tuple[dict[str, Any], ...] = CENTRED) -> list[Model]:
    return [Model(name, "keras", (side, side, 3), "", arithmetic) for name in names]


def _huggingface(*names: str) -> list[Model]:
    return [Model(f"hf_{name}", "huggingface", IMAGE, "", CENTRED) for name in names]


MODELS = {
    model.name: model
    for model in (
        *_torch("classic", LARGE, "alexnet"),
        *_torch("classic", IMAGE, "vgg"),
        *_torch("resnet", LARGE, "resnet_basic", "resnet_bottleneck", "resnet_preactivation", "resnext"),
        *_torch("mobilenet", IMAGE, "mobilenet_v1", "mobilenet_v2", "mobilenet_v3", "mobilenet_v4"),
        *_torch("efficientnet", IMAGE, "efficientnet", "efficientnet_v2"),
        *_torch("squeezenet", LARGE, "squeezenet"),
        *_torch("shufflenet", IMAGE, "shufflenet", "shufflenet_v2"),
        *_torch("densenet", LARGE, "densenet"),
        *_torch("inception", LARGE, "googlenet", "inception_v3"),
        *_torch("regnet", IMAGE, "regnet"),
        *_torch("repvgg", IMAGE, "repvgg"),
        *_torch("convnext", IMAGE, "convnext", "convnext_v2"),
        *_torch("mixer", IMAGE, "mlp_mixer", "convmixer"),
        *_torch("vit", IMAGE, "vit", "vit_sdpa", "vit_torch_encoder"),
        *_torch("swin", LARGE, "swin"),
        *_torch("hybrid", IMAGE, "ghostnet", "mobilevit", "poolformer", "activations"),
        *_torch("unet", IMAGE, "unet_transposed", "unet_bilinear", "segmenter_interpolate"),
        *_torch("one_and_three_d", (2, 64), "cnn_1d", "tcn"),
        *_torch("one_and_three_d", (1, 8, 16, 16), "cnn_3d"),
        *_huggingface("vit", "deit", "beit", "swin", "resnet", "convnext", "convnext_v2"),
        *_huggingface("mobilenet_v1", "mobilenet_v2", "efficientnet"),
        *_keras(
            32, "MobileNet", "MobileNetV2", "DenseNet121", "NASNetMobile", "ResNet50", "ResNet50V2", "VGG16"
        ),
        *_keras(32, "MobileNetV3Small", "EfficientNetB0", "EfficientNetV2B0", arithmetic=RAW),
        *_keras(
            64, "ConvNeXtTiny", arithmetic=RAW
        ),  # at 32 its last images are one pixel, which tf2onnx gets wrong
        *_keras(71, "Xception"),
        *_keras(75, "InceptionV3", "InceptionResNetV2"),
    )
}

# What `make test` runs: each has something that the others do not.
FAST = ("mobilenet_v3", "shufflenet_v2", "regnet", "vit", "swin", "unet_transposed", "cnn_1d")
