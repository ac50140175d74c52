"""Reading the weights of a model out of a file of safetensors."""

import json
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float32]
TYPES: dict[str, np.dtype[Any]] = {
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "F64": np.dtype("<f8"),
}


def read_weights(path: Path) -> dict[str, Floats]:
    """Map the floating-point tensors of a file into memory, by name without a prefix ``bert.``.

    The format: a length (8 bytes, little-endian), so many bytes of JSON with type, shape and
    offsets of each tensor, then the bytes of all of them.

    Args:
        path: the file; it must not change while the weights are in use.

    Raises:
        ValueError: the file is not whole, or has another format.
        OSError: the file cannot be read.

    """
    content = np.memmap(path, np.uint8, "r")
    size = int.from_bytes(content[:8].tobytes(), "little")
    if not 2 <= size <= len(content) - 8:
        raise ValueError("it is cut off or not a file of safetensors")
    header = json.loads(content[8 : 8 + size].tobytes())
    if not isinstance(header, dict):
        raise ValueError("it has no list of tensors")
    body = content[8 + size :]
    weights: dict[str, Floats] = {}
    for name, told in header.items():
        if name != "__metadata__" and told["dtype"] in TYPES:
            start, end = told["data_offsets"]
            if not 0 <= start <= end <= len(body):
                raise ValueError(f"it is cut off at '{name}'")
            values: Floats = body[start:end].view(TYPES[told["dtype"]])
            tensor = values.reshape(told["shape"]).astype(np.float32, copy=False)
            weights[name.removeprefix("bert.")] = tensor
    return weights
