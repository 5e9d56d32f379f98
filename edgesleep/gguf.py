"""GGUF files: read, copied with chosen tensors replaced, and LoRA adapters written.

Owns the file format, through the `gguf` package (imported nowhere else), and
the refusal of files that are damaged, hostile or of a kind that edgesleep does
not serve. Leaves what the numbers mean to `kernel` and `model`. A source file
is only ever mapped read-only; what is written appears whole or not at all.
"""

from __future__ import annotations

import hashlib
import math
import mmap
import struct
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import gguf as ggufpy
import numpy as np
import numpy.typing as npt

from edgesleep.errors import GgufError, shown
from edgesleep.files import whole_file

SUPPORTED_ARCHITECTURES = ("llama", "gemma3", "qwen2", "qwen3")

Bytes = npt.NDArray[np.uint8]

# Far above any real model, and low enough that a lying header costs a moment and no memory.
MAX_ENTRIES = 1 << 16  # metadata keys, tensors
MAX_STRINGS = 1 << 22  # strings in one list
MAX_FIELD = 1 << 26  # bytes of one metadata value
MAX_DIMENSIONS = 4  # GGML_MAX_DIMS

CHUNK = 1 << 23  # bytes copied at a time
FETCH_AGAIN = "Download it again; the file differs from what its maker wrote."
USE_MODEL = f"Use one whole .gguf of a {', '.join(SUPPORTED_ARCHITECTURES)} model."


@dataclass(frozen=True)
class Tensor:
    """One tensor of a file. `shape` is row-major, (rows, cols); `data` its packed bytes, 1-D, a read-only view."""

    name: str
    type: str
    shape: tuple[int, ...]
    data: Bytes
    offset: int  # from the start of the file
    nbytes: int


class Gguf:
    """A model file, mapped read-only. Made by `Gguf.open`."""

    def __init__(self, path: Path, metadata: Mapping[str, Any], tensors: dict[str, Tensor], content: Bytes) -> None:
        self.path = path
        self.metadata = metadata
        self.tensors = tensors  # in file order
        self.content = content  # every byte of the file
        self.architecture = str(self.require("general.architecture"))

    @classmethod
    def open(cls, path: Path) -> Gguf:
        """Map and check a model file. Raises GgufError for anything that is not a whole, supported model."""
        reader = _parse(path)
        model = cls(path, _Metadata(path, reader.fields), {t.name: t for t in reader.weights}, reader.content)
        if model.get("split.count", 0) not in (0, 1):
            raise GgufError(f"{path.name} is one part of a split model.", "Join them with llama-gguf-split --merge.")
        if (kind := model.get("general.type", "model")) != "model":
            raise GgufError(f"{path.name} is no model, but of the type {shown(kind)}.", USE_MODEL)
        if model.architecture not in SUPPORTED_ARCHITECTURES:
            raise GgufError(f"{path.name} has the unsupported architecture {shown(model.architecture)}.", USE_MODEL)
        if not model.tensors:
            raise GgufError(f"{path.name} holds no weights.", USE_MODEL)
        return model

    @property
    def parameters(self) -> int:
        """How many numbers the model is made of."""
        return sum(math.prod(tensor.shape) for tensor in self.tensors.values())

    def release(self) -> None:
        """Let the system take back the memory of all pages read so far; they come again from disk or its cache."""
        mapped = getattr(self.content.base, "_mmap", None)
        if mapped is not None and hasattr(mmap, "MADV_DONTNEED"):
            mapped.madvise(mmap.MADV_DONTNEED)

    def get(self, key: str, default: Any = None) -> Any:
        """The metadata value of `key`; lists are decoded anew at each call."""
        return self.metadata.get(key, default)

    def require(self, key: str) -> Any:
        """The metadata value of `key`. Raises GgufError when it is missing."""
        try:
            return self.metadata[key]
        except KeyError:
            raise GgufError(f"{self.path.name} lacks the metadata key {key}.", USE_MODEL) from None


def write_copy(
    source: Gguf, path: Path, replacements: Mapping[str, Iterable[bytes | npt.NDArray[Any]]]
) -> tuple[str, int]:
    """Write `source` to `path` with the packed bytes of some tensors replaced and every other byte the same.

    A replacement is a run of pieces that together have exactly the tensor's
    size; pieces are drawn one at a time, in file order of the tensors, so a
    tile is all that is held in memory. Returns SHA-256 (hex) and size in bytes.
    Raises EdgesleepError, with nothing left behind, for unknown names, wrong
    sizes, `path` being the source, and a full disk.
    """
    if unknown := replacements.keys() - source.tensors.keys():
        raise GgufError(f"{source.path.name} has no tensor {', '.join(sorted(unknown))}.", USE_MODEL)
    if path.exists() and path.samefile(source.path):
        raise GgufError(f"{path} is the model being read; it is never overwritten.", "Write to another path.")
    sha = hashlib.sha256()
    with whole_file(path) as file:

        def put(data: bytes | npt.NDArray[Any]) -> int:
            view = data if isinstance(data, bytes) else np.ascontiguousarray(data).data
            sha.update(view)
            return file.write(view)

        position = 0
        for tensor in sorted((source.tensors[name] for name in replacements), key=lambda t: t.offset):
            for piece in _chunks(source.content[position : tensor.offset]):
                put(piece)
            left = tensor.nbytes
            for data in replacements[tensor.name]:
                left -= put(data)
                if left < 0:
                    break
            if left:
                amount = "Fewer" if left > 0 else "More"
                raise GgufError(f"{amount} than the {tensor.nbytes} bytes of {tensor.name} were given.")
            position = tensor.offset + tensor.nbytes
        for piece in _chunks(source.content[position:]):
            put(piece)
    return sha.hexdigest(), len(source.content)


def write_adapter(
    path: Path,
    architecture: str,
    tensors: Mapping[str, tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]],
    alpha: float,
    metadata: Mapping[str, str],
) -> Path:
    """Write a LoRA adapter that stock llama.cpp loads: W' = W + alpha / r * B @ A.

    `tensors` maps a weight's full name in the model to its f32 factors
    A [r, in] and B [out, r]; `metadata` rides along as strings. Appears whole
    or not at all; raises EdgesleepError for factors that do not fit together.
    """
    for name, (a, b) in tensors.items():
        fit = a.ndim == b.ndim == 2 and a.shape[0] == b.shape[1]
        if not fit or not np.isfinite(a).all() or not np.isfinite(b).all():
            raise GgufError(f"The factors of {name}, {a.shape} and {b.shape}, are no finite [r, in] and [out, r].")
    with whole_file(path) as file, closing(ggufpy.GGUFWriter(file.name, architecture)) as writer:
        writer.add_type(ggufpy.GGUFType.ADAPTER)
        writer.add_string(ggufpy.Keys.Adapter.TYPE, "lora")
        writer.add_float32(ggufpy.Keys.Adapter.LORA_ALPHA, alpha)
        for key, value in metadata.items():
            writer.add_string(key, value)
        for name, (a, b) in tensors.items():
            writer.add_tensor(f"{name}.lora_a", np.ascontiguousarray(a, np.float32))
            writer.add_tensor(f"{name}.lora_b", np.ascontiguousarray(b, np.float32))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
    return path


def _parse(path: Path) -> _Reader:
    """The file's fields and tensors, or one GgufError for everything that can be wrong with them."""
    if not path.is_file():
        raise GgufError(f"There is no model file {path}.", "Check the path, or name a model of `edgesleep models`.")
    try:
        with path.open("rb") as file:
            header = file.read(24)
        if header[:4] != b"GGUF":
            raise GgufError(f"{path.name} is not a GGUF file.", USE_MODEL)
        if len(header) < 24:
            raise ValueError("it ends within its header")
        version, tensor_count, key_count = struct.unpack("<IQQ", header[4:])
        if version not in ggufpy.gguf_reader.READER_SUPPORTED_VERSIONS:
            kind = "is big-endian" if version & 0xFFFF == 0 else f"has GGUF version {version}"
            raise GgufError(f"{path.name} {kind}, which cannot be read.", "Convert it with llama.cpp's current tools.")
        if max(tensor_count, key_count) > MAX_ENTRIES:
            raise ValueError(f"it claims {tensor_count} tensors and {key_count} metadata keys")
        return _Reader(path)
    except OSError as error:
        raise GgufError(f"{path} cannot be read: {error.strerror}.", "Check its permissions.") from error
    # The library meets damage with any of these.
    except (ValueError, KeyError, IndexError, OverflowError, TypeError, struct.error) as error:
        raise GgufError(f"{path.name} is damaged: {shown(str(error))}.", FETCH_AGAIN) from error


class _Reader(ggufpy.GGUFReader):
    """The library's reader, made safe against lying sizes and cheap on long lists.

    The library makes several objects per list element (Gemma 3: 12 s, 686 MB)
    and reads short, or for ever, past the end of a file.
    """

    weights: list[Tensor]

    @property
    def content(self) -> Bytes:
        return np.asarray(self.data)

    def _get(self, offset: int, dtype: npt.DTypeLike, count: int = 1, override_order: Any = None) -> npt.NDArray[Any]:
        size = np.dtype(dtype).itemsize * int(count)
        if size > MAX_FIELD:
            raise ValueError(f"it claims {size} bytes for one field at byte {offset}")
        if offset + size > len(self.data):
            raise ValueError(f"it ends at byte {len(self.data)}, within a field")
        return super()._get(offset, dtype, count, override_order)

    def _push_field(self, field: Any, skip_sum: bool = False) -> int:
        if field.name in self.fields:
            raise ValueError(f"it has two values of {field.name}")
        return super()._push_field(field, skip_sum)

    def _get_field_parts(self, orig_offs: int, raw_type: int) -> tuple[int, list[Any], list[int], list[Any]]:
        """Lists stay one span of the file, to be decoded when asked for; everything else is left to the library."""
        if raw_type != ggufpy.GGUFValueType.ARRAY:
            return super()._get_field_parts(orig_offs, int(raw_type))
        kind = ggufpy.GGUFValueType(int(self._get(orig_offs, np.uint32)[0]))
        count = int(self._get(orig_offs + 4, np.uint64)[0])
        start = orig_offs + 12
        if kind == ggufpy.GGUFValueType.STRING:
            values = self._get(start, np.uint8, _strings_size(self.data, start, count))
        elif kind in self.gguf_scalar_to_np:
            values = self._get(start, self.gguf_scalar_to_np[kind], count)
        else:
            raise ValueError(f"it holds a list of {kind.name}")
        return 12 + values.nbytes, [values], [0], [ggufpy.GGUFValueType.ARRAY, kind]

    def _build_tensors(self, start_offs: int, fields: list[Any]) -> None:
        """Check every tensor before anything is made of it. Like llama.cpp, allow no gap and no overlap."""
        self.weights = []
        names: set[str] = set()
        # The library may count in 32 bits, which go round after 4 GiB.
        alignment, start_offs = int(self.alignment), int(start_offs)
        expected = start_offs
        for field in fields:
            _, _, _, dims, raw_type, offset = field.parts
            name, shape = field.name, tuple(reversed(dims.tolist()))
            kind = ggufpy.GGMLQuantizationType(int(raw_type[0]))
            block, block_bytes = ggufpy.GGML_QUANT_SIZES[kind]
            if name in names:
                raise ValueError(f"it has two tensors named {name}")
            if not 1 <= len(shape) <= MAX_DIMENSIONS or min(shape) < 1 or shape[-1] % block:
                raise ValueError(f"the shape {shape} of {name} does not fit the type {kind.name}")
            begin, nbytes = start_offs + int(offset[0]), prod(shape) // block * block_bytes
            if begin != expected or begin + nbytes > len(self.data):
                raise ValueError(f"{name} claims bytes {begin} to {begin + nbytes} of {len(self.data)}")
            names.add(name)
            data = self.content[begin : begin + nbytes]
            self.weights.append(Tensor(name, kind.name, shape, data, begin, nbytes))
            expected = begin + -(-nbytes // alignment) * alignment


class _Metadata(Mapping[str, Any]):
    """Metadata values by key, decoded when asked for."""

    def __init__(self, path: Path, fields: Mapping[str, Any]) -> None:
        self._path = path
        self._fields = {key: field for key, field in fields.items() if not key.startswith("GGUF.")}

    def __getitem__(self, key: str) -> Any:
        field = self._fields[key]
        try:
            if field.types[0] != ggufpy.GGUFValueType.ARRAY:
                return field.contents()
            values = field.parts[field.data[0]]
            if field.types[1] == ggufpy.GGUFValueType.STRING:
                return list(_strings(values))
            return values.tolist()
        except UnicodeDecodeError as error:
            raise GgufError(f"{self._path.name} is damaged: {shown(key)} is not UTF-8.", FETCH_AGAIN) from error

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)


_LENGTH = struct.Struct("<Q")


def _strings_size(data: Bytes, start: int, count: int) -> int:
    """Bytes of `count` strings from `start` on; each is a 64-bit length and so many bytes."""
    if count > MAX_STRINGS:
        raise ValueError(f"it claims a list of {count} strings")
    view = data.data
    position, end = start, len(view)
    for _ in range(count):
        if position + 8 > end:
            raise ValueError(f"it ends at byte {end}, within a list")
        position += 8 + _LENGTH.unpack_from(view, position)[0]
    return position - start


def _strings(span: Bytes) -> Iterator[str]:
    view = span.data
    position = 0
    while position < len(view):
        begin = position + 8
        position = begin + _LENGTH.unpack_from(view, position)[0]
        yield str(view[begin:position], "utf-8")


def _chunks(data: Bytes) -> Iterator[Bytes]:
    for start in range(0, len(data), CHUNK):
        yield data[start : start + CHUNK]
