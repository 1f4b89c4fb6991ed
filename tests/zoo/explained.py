"""What of the zoo's table is known not to be as it should, with the reason. A row that passes all the same fails the run.

A key of ``EXPLAINED`` is ``model/column``; the columns are those of the table.
"""

from __future__ import annotations

EXPLAINED: dict[str, str] = {}

# The most Transpose operators that a model's TF Lite file may have; one that is not here has none.
TRANSPOSES = {
    "shufflenet": 3,
    "shufflenet_v2": 4,
    "mobilenet_v4": 2,
    "googlenet": 2,
    "mlp_mixer": 4,
    "vit": 4,
    "vit_sdpa": 4,
    "vit_torch_encoder": 8,
    "swin": 16,
    "hf_vit": 8,
    "hf_deit": 8,
    "hf_beit": 8,
    "hf_swin": 24,
    "mobilevit": 10,
    "cnn_1d": 1,
    "tcn": 1,
}
