"""The cases of every operator family: one file each, named as the file in ``ops/``."""

from __future__ import annotations

from onnx2keras_cases.activation import ACTIVATION
from onnx2keras_cases.case import Case
from onnx2keras_cases.convolution import CONVOLUTION
from onnx2keras_cases.dense import DENSE
from onnx2keras_cases.elementwise import ELEMENTWISE
from onnx2keras_cases.expansion import EXPANSION
from onnx2keras_cases.gather import GATHER
from onnx2keras_cases.grid import GRID
from onnx2keras_cases.layout import LAYOUT
from onnx2keras_cases.logic import LOGIC
from onnx2keras_cases.normalization import NORMALIZATION
from onnx2keras_cases.order import ORDER
from onnx2keras_cases.pooling import POOLING
from onnx2keras_cases.quantization import QUANTIZATION
from onnx2keras_cases.reduction import REDUCTION
from onnx2keras_cases.resize import RESIZE
from onnx2keras_cases.scatter import SCATTER
from onnx2keras_cases.shape import SHAPE

__all__ = ["CASES", "Case"]

CASES = {
    **CONVOLUTION, **POOLING, **DENSE, **NORMALIZATION, **ACTIVATION, **ELEMENTWISE, **LOGIC, **SHAPE, **REDUCTION,
    **EXPANSION, **GRID, **QUANTIZATION, **RESIZE, **GATHER, **SCATTER, **ORDER, **LAYOUT,
}  # fmt: skip
