"""Files of tensors, in the format of safetensors: https://huggingface.co/docs/safetensors.

They are written here and read by the library. Its own writer holds a second copy of all tensors in memory, ends the
process where there is no memory for that, and tells of a full disk in an error of its own.
"""

from __future__ import annotations

import hashlib
import json
import struct
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open

from triplicate.files import atomic
from triplicate.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

# By the name of the dtype, so that torch is loaded by those alone who have tensors.
_NAMES = {
    "torch.float64": "F64",
    "torch.float32": "F32",
    "torch.float16": "F16",
    "torch.bfloat16": "BF16",
    "torch.int64": "I64",
    "torch.int32": "I32",
    "torch.int16": "I16",
    "torch.int8": "I8",
    "torch.uint8": "U8",
    "torch.bool": "BOOL",
    "torch.uint16": "U16",
    "torch.uint32": "U32",
    "torch.uint64": "U64",
    "torch.complex64": "C64",
    "torch.float8_e4m3fn": "F8_E4M3",
    "torch.float8_e5m2": "F8_E5M2",
}
_VALUES, _CHECK = "values", "sha256"


@dataclass(frozen=True)
class Content:
    """What a file holds: plain values, as JSON has them, and tensors by name."""

    values: Mapping[str, Any]
    tensors: Mapping[str, Tensor]


def write(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> str:
    """Replace a file by tensors, from any device.

    Returns:
        The SHA-256 of the file, in hex digits.

    Raises:
        OSError: it cannot be written.
        TypeError: a dtype that these files do not have.
    """
    return atomic.write_pieces(path, pieces(tensors, metadata or {}))


def write_checked(path: Path, content: Content) -> str:
    """Replace a file by values and tensors, with a hash of them all inside, so that damage is noticed."""
    values = json.dumps(content.values)
    return write(path, content.tensors, {_VALUES: values, _CHECK: _check(values, content.tensors)})


def read_checked(path: Path) -> Content | None:
    """What `write_checked` has written; None where that is not there, or not whole. Nothing in it is executed."""
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: _own(file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118 (it is no mapping)
        values = metadata[_VALUES]
        if _check(values, tensors) != metadata[_CHECK]:
            return None
        return Content(json.loads(values), tensors)
    except (OSError, SafetensorError, KeyError, ValueError):
        return None


def _own(tensor: Tensor) -> Tensor:
    """A tensor that holds no file open: Windows replaces and removes none that is."""
    return tensor.clone() if sys.platform == "win32" else tensor


def _check(values: str, tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256(values.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
        digest.update(_bytes(tensor))
    return digest.hexdigest()


def pieces(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> Iterator[bytes | memoryview]:
    """A file in parts: the length of the header, the header, each tensor; wide numbers first, so that all align."""
    ordered = sorted(tensors.items(), key=lambda pair: (-pair[1].element_size(), pair[0]))
    header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    end = 0
    for name, tensor in ordered:
        if str(tensor.dtype) not in _NAMES:
            raise TypeError(f"{name} is {tensor.dtype}, which a file of safetensors cannot hold")
        start, end = end, end + tensor.numel() * tensor.element_size()
        header[name] = {"dtype": _NAMES[str(tensor.dtype)], "shape": list(tensor.shape), "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    yield struct.pack("<Q", len(text))
    yield text
    for _, tensor in ordered:
        yield _bytes(tensor)


def _bytes(tensor: Tensor) -> memoryview:
    """The numbers of a tensor as they lie in memory."""
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    flat = flat.as_strided(flat.shape, (1,))  # one element counts as contiguous with any stride
    return flat.view(torch.uint8).numpy().data if flat.numel() else memoryview(b"")
