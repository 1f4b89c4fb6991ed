"""``--preprocess`` as operations of ``runtimes.preprocess``: ``resize=256,crop=224,...``, a preset, or a JSON file. Pure.

    color=RGB|BGR|L                  resize=256 (the shorter side) or 224x224 (height x width)
    filter=bilinear                  of the resize: nearest, box, bilinear, hamming, bicubic or lanczos
    crop=224 or 224x200              from the centre
    scale=1/255                      then each channel minus mean, over std
    mean=0.485:0.456:0.406           std=0.229:0.224:0.225

The order of the words is free, that of the operations fixed. A preset comes first; what follows replaces parts of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from runtimes.errors import UsageError
from runtimes.preprocess import fault_of_list

KEYS = ("color", "resize", "filter", "crop", "scale", "mean", "std")
# How the weights that people bring were trained: torchvision's, and Keras's two older ways ("tf" and "caffe").
PRESETS = {
    "imagenet": "color=RGB,resize=256,crop=224,scale=1/255,mean=0.485:0.456:0.406,std=0.229:0.224:0.225",
    "imagenet-tf": "color=RGB,resize=256,crop=224,scale=1/127.5,mean=1,std=1",
    "imagenet-caffe": "color=BGR,resize=256,crop=224,mean=103.939:116.779:123.68,std=1",
}

Operations = tuple[dict[str, Any], ...]


def parse(text: str) -> Operations:
    """The operations that ``--preprocess`` names. Raises UsageError for what cannot be read or is no such list."""
    found = _from_file(Path(text)) if text.endswith(".json") else _from_words(text)
    wrong = fault_of_list(found)
    if wrong:
        raise UsageError(f"--preprocess {text}: {wrong}.")
    return found


def _from_words(text: str) -> Operations:
    preset, _, rest = text.partition(",")
    if preset in PRESETS:
        text = f"{PRESETS[preset]},{rest}" if rest else PRESETS[preset]
    words: dict[str, str] = {}
    for word in text.split(","):
        key, equals, value = word.strip().partition("=")
        if key not in KEYS or not equals or not value:
            raise UsageError(
                f"--preprocess {word!r} cannot be read. Give KEY=VALUE of {', '.join(KEYS)}, the name of a .json file, "
                f"or a preset: {', '.join(PRESETS)}."
            )
        words[key] = value
    if "filter" in words and "resize" not in words:
        raise UsageError(f"--preprocess filter={words['filter']} belongs to a resize, and none is given.")
    return tuple(_operations(words))


def _operations(words: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    if "color" in words:
        yield {"op": "color", "mode": words["color"].upper()}
    if "resize" in words:
        sizes = _sizes("resize", words["resize"])
        if "height" not in sizes:
            sizes = {"shortest": sizes["side"]}
        yield {"op": "resize", **sizes, "filter": words.get("filter", "bilinear")}
    if "crop" in words:
        sizes = _sizes("crop", words["crop"])
        side = sizes.get("side")
        yield {"op": "center_crop", "height": side or sizes["height"], "width": side or sizes["width"]}
    if "scale" in words:
        yield {"op": "scale", "factor": _number("scale", words["scale"])}
    if "mean" in words or "std" in words:
        yield {"op": "normalize", "mean": _numbers("mean", words, 0.0), "std": _numbers("std", words, 1.0)}


def _sizes(key: str, text: str) -> dict[str, int]:
    """``{"side": s}``, or height and width."""
    if not re.fullmatch(r"[1-9]\d*(x[1-9]\d*)?", text):
        raise UsageError(f"--preprocess {key}={text} is no size: give 224, or 224x200 for height x width.")
    numbers = [int(number) for number in text.split("x")]
    return {"side": numbers[0]} if len(numbers) == 1 else {"height": numbers[0], "width": numbers[1]}


def _numbers(key: str, words: Mapping[str, str], usual: float) -> list[float] | float:
    """One number, or one a channel with colons between."""
    if key not in words:
        return usual
    numbers = [_number(key, part) for part in words[key].split(":")]
    return numbers if len(numbers) > 1 else numbers[0]


def _number(key: str, text: str) -> float:
    """A number or a fraction such as 1/255."""
    try:
        above, _, below = text.partition("/")
        return float(above) / float(below or 1)
    except (ValueError, ZeroDivisionError):
        raise UsageError(
            f"--preprocess {key}={text}: {text!r} is no number and no fraction like 1/255."
        ) from None


def _from_file(path: Path) -> Operations:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"--preprocess {path} cannot be read: {error}") from None
    if not isinstance(content, list) or not all(isinstance(one, dict) for one in content):
        raise UsageError(
            f'--preprocess {path} must hold a list of operations: [{{"op": "scale", "factor": 1}}]'
        )
    return tuple(content)
