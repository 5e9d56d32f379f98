"""Mutants of small sound files: GGUF models, adapters and checkpoints.

Owns the mutations, which a seeded random alone decides. Leaves to `hostile` what becomes of a mutant. Must stay true:
most mutants differ from a sound file in one thing, so that whatever reads them gets far.
"""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import prod
from pathlib import Path
from random import Random
from types import SimpleNamespace

import numpy as np
from tiny import make_tiny

from edgesleep.adapter import Adapter
from edgesleep.night.train import Plan, Run

SHAPES = {"blk.0.attn_q.weight": (32, 64), "blk.0.ffn_up.weight": (48, 32)}

TYPES = (0, 1, 2, 3, 6, 7, 8, 10, 12, 14, 16, 24, 26, 28, 30, 39, 40, 99, 2**31, 2**32 - 1)
BLOCKS = {0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 10: (256, 84),
          12: (256, 144), 14: (256, 210), 24: (1, 1), 26: (1, 4), 28: (1, 8), 30: (1, 2)}  # fmt: skip
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "B", 10: "Q", 11: "q", 12: "d"}
STRING, ARRAY = 8, 9
COUNTS = (0, 1, 2, 3, 5, 7, 31, 33, 64, 255, 2**15, 2**16, 2**20 + 1, 2**24, 2**31 - 1, 2**31, 2**32 - 1, 2**32,
          2**40, 2**60, 2**62, 2**63 - 1, 2**63, 2**64 - 32, 2**64 - 1)  # fmt: skip
FLOATS = (0.0, -0.0, -1.0, 1e-320, 1e-45, 1e-300, 1e38, 1e300, float("inf"), float("-inf"), float("nan"))
TEXTS = (b"", b"\xff\xfe", b"\0", b"\x1b[2J\x1b]0;owned\x07", b"llama", b"gemma3", b"adapter", b"linear", b"none",
         b"yarn", "\u202e\ud7ff\U0010ffff".encode(), b"x" * 100_000, b"{{ 1/0 }}", b"general.architecture")  # fmt: skip


@dataclass
class Weight:
    name: bytes
    dims: list[int]
    type: int
    offset: int
    data: bytes


@dataclass
class Parts:
    """A file taken apart. Values are kept as they lie; `pack` puts everything together again, lies included."""

    keys: list[tuple[bytes, int, bytes]]
    weights: list[Weight]
    counts: tuple[int, int] | None = None  # of tensors and keys, where the header lies
    spots: list[tuple[int, int]] = field(default_factory=list)  # offset and size of every number in the header

    @classmethod
    def of(cls, data: bytes) -> Parts:
        """Take apart a sound file."""
        at, spots = 4, []

        def number(form: str) -> int:
            nonlocal at
            size = struct.calcsize(f"<{form}")
            spots.append((at, size))
            at += size
            return int(struct.unpack_from(f"<{form}", data, at - size)[0])

        def text() -> bytes:
            nonlocal at
            size = number("Q")
            at += size
            return data[at - size : at]

        def skip(kind: int) -> None:
            if kind == STRING:
                text()
            elif kind == ARRAY:
                inner = number("I")
                for _ in range(number("Q")):
                    skip(inner)
            else:
                number(SCALARS[kind])

        number("I")
        tensors, keys = number("Q"), []
        for _ in range(number("Q")):
            name, kind, start = text(), number("I"), at
            skip(kind)
            keys.append((name, kind, data[start:at]))
        weights = [
            Weight(text(), [number("Q") for _ in range(number("I"))], number("I"), number("Q"), b"")
            for _ in range(tensors)
        ]
        begin = -(-at // 32) * 32
        ends = [*(weight.offset for weight in weights[1:]), len(data) - begin]
        for weight, end in zip(weights, ends, strict=True):
            weight.data = data[begin + weight.offset : begin + end]
        return cls(keys, weights, None, spots)

    def copy(self) -> Parts:
        return Parts([*self.keys], [replace(weight, dims=[*weight.dims]) for weight in self.weights])

    def pack(self) -> bytes:
        tensors, count = self.counts or (len(self.weights), len(self.keys))
        head = [b"GGUF", struct.pack("<IQQ", 3, tensors, count)]
        for name, kind, value in self.keys:
            head += [_string(name), struct.pack("<I", kind), value]
        for weight in self.weights:
            dims = struct.pack(f"<I{len(weight.dims)}Q", len(weight.dims), *weight.dims)
            head += [_string(weight.name), dims, struct.pack("<IQ", weight.type, weight.offset)]
        whole = b"".join(head)
        return b"".join([whole, bytes(-len(whole) % 32), *(weight.data for weight in self.weights)])

    def lay(self) -> None:
        """Give every tensor room for what its shape and type say, and its place: a sound file of another model."""
        at = 0
        for weight in self.weights:
            block, size = BLOCKS.get(weight.type, (1, 1))
            length = prod(weight.dims) // block * size
            if length <= 1 << 16:
                weight.data = (weight.data or b"\0").ljust(length, weight.data[:1] or b"\0")[:length]
                weight.data += bytes(-length % 32)
            weight.offset, at = at, at + len(weight.data)


def _string(text: bytes) -> bytes:
    return struct.pack("<Q", len(text)) + text


def _value(random: Random, kind: int, depth: int = 0) -> bytes:
    """A value of this type, seldom a harmless one."""
    if kind == STRING:
        return _string(random.choice(TEXTS))
    if kind == ARRAY:
        inner = random.choice((*SCALARS, STRING, ARRAY if depth < 40 else 5, 13, 2**32 - 1))
        count = random.choice((0, 1, 2, 3, 1000))
        items = [_value(random, inner, depth + 1) for _ in range(1 if inner == ARRAY else count)]
        return struct.pack("<IQ", inner, random.choice((len(items), *COUNTS))) + b"".join(items)
    form = SCALARS.get(kind, "Q")
    if form in "fd":
        with np.errstate(over="ignore"):
            return np.array(random.choice((*FLOATS, *COUNTS)), f"<{form}").tobytes()
    return (random.choice(COUNTS) % (1 << 8 * struct.calcsize(form))).to_bytes(struct.calcsize(form), "little")


# --- mutations of the parts, which keep the rest of a file sound


def revalue(random: Random, parts: Parts) -> None:
    """One key with another value, mostly of its own type."""
    place = random.randrange(len(parts.keys))
    name, kind, _ = parts.keys[place]
    kind = kind if random.random() < 0.7 else random.choice((*SCALARS, STRING, ARRAY, 13, 2**32 - 1))
    parts.keys[place] = name, kind, _value(random, kind)


def rekey(random: Random, parts: Parts) -> None:
    """A key lost, given twice, named otherwise, or added."""
    place = random.randrange(len(parts.keys))
    name, kind, value = parts.keys[place]
    deed = random.randrange(4)
    if deed == 0:
        del parts.keys[place]
    elif deed == 1:
        parts.keys.insert(random.randrange(len(parts.keys)), (name, kind, value))
    elif deed == 2:
        parts.keys[place] = random.choice(TEXTS), kind, value
    else:
        arch = random.choice((b"llama", b"gemma3"))
        known = (b".rope.scaling.type", b".rope.scaling.factor", b".rope.dimension_count", b".attention.key_length",
                 b".attention.sliding_window_pattern", b".final_logit_softcapping", b".rope.freq_base_swa")  # fmt: skip
        name = random.choice((b"general.alignment", b"split.count", *(arch + end for end in known)))
        kind = random.choice((4, 4, 5, 6, 12, 10, STRING, ARRAY))
        parts.keys.append((name, kind, _value(random, kind)))


def reshape(random: Random, parts: Parts) -> None:
    """Another shape or type of one tensor; as often as not with bytes to match."""
    weight = random.choice(parts.weights)
    deed = random.randrange(5)
    if deed == 0:
        weight.type = random.choice(TYPES)
    elif deed == 1 and weight.dims:
        weight.dims[random.randrange(len(weight.dims))] = random.choice(COUNTS)
    elif deed == 2:
        weight.dims.reverse()
    elif deed == 3:
        weight.dims = random.choices(COUNTS, k=random.choice((0, 1, 2, 3, 4, 5, 200)))
    else:
        weight.dims.append(random.choice((1, 1, 2, 0)))
    if random.random() < 0.5:
        parts.lay()


def displace(random: Random, parts: Parts) -> None:
    """Tensors on top of each other, apart, out of order, or beyond the end."""
    first, second = random.choice(parts.weights), random.choice(parts.weights)
    deed = random.randrange(4)
    if deed == 0:
        first.offset = second.offset
    elif deed == 1:
        first.offset = random.choice(COUNTS)
    elif deed == 2:
        first.offset += random.choice((-32, -1, 1, 32, 2**32, 2**63)) % 2**64
        first.offset %= 2**64
    else:
        random.shuffle(parts.weights)


def rename(random: Random, parts: Parts) -> None:
    """A tensor lost, given twice, or under another's name."""
    weight = random.choice(parts.weights)
    deed = random.randrange(4)
    if deed == 0 and len(parts.weights) > 1:
        parts.weights.remove(weight)
    elif deed == 1:
        parts.weights.append(Weight(weight.name, list(weight.dims), weight.type, weight.offset, weight.data))
    elif deed == 2:
        weight.name = random.choice(parts.weights).name
    else:
        weight.name = random.choice(TEXTS)
    if random.random() < 0.7:
        parts.lay()


def miscount(random: Random, parts: Parts) -> None:
    parts.counts = random.choice((len(parts.weights), *COUNTS)), random.choice((len(parts.keys), *COUNTS))


# --- mutations of the bytes


def cut(random: Random, data: bytes, spots: Sequence[tuple[int, int]]) -> bytes:
    return data[: random.choice((random.randrange(len(data)), random.randrange(spots[-1][0] + 8)))]


def lie(random: Random, data: bytes, spots: Sequence[tuple[int, int]]) -> bytes:
    """Another number in the header."""
    at, size = random.choice(spots)
    value = random.choice((random.choice(COUNTS), random.getrandbits(8 * size), random.randrange(16)))
    return data[:at] + (value % (1 << 8 * size)).to_bytes(size, "little") + data[at + size :]


def flip(random: Random, data: bytes, spots: Sequence[tuple[int, int]]) -> bytes:
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 8))):
        changed[random.randrange(min(len(data), spots[-1][0] + 8))] ^= 1 << random.randrange(8)
    return bytes(changed)


def splice(random: Random, data: bytes, spots: Sequence[tuple[int, int]]) -> bytes:
    """Some bytes taken out, or put in twice."""
    start = random.randrange(spots[-1][0])
    end = start + random.choice((1, 4, 8, 64, 1000))
    return data[:start] + data[random.choice((start, end)) :] if random.random() < 0.5 else data[:end] + data[start:]


PARTS = (revalue, revalue, revalue, rekey, reshape, reshape, displace, rename, miscount)
RAW = (cut, lie, lie, flip, splice)


class Models:
    """Mutants of GGUF files; every fourth is a cut, so that a long run cuts every header at every byte."""

    def __init__(self, folder: Path) -> None:
        self.bases = [
            make_tiny(
                folder / f"{arch}.gguf", arch, types, layers=1, embd=32, rope_factors=arch == "llama"
            ).read_bytes()
            for arch, types in (("llama", ("Q4_1", "Q8_0")), ("gemma3", ("Q5_0", "F16")), ("qwen2", ("Q4_0", "BF16")))
        ]
        self.sound = [Parts.of(base) for base in self.bases]
        assert [parts.pack() for parts in self.sound] == self.bases

    def mutant(self, random: Random, number: int) -> bytes:
        base = self.bases[number % len(self.bases)]
        spots = self.sound[number % len(self.bases)].spots
        if number % 4 == 0:
            return base[: number // 4 * 7919 % (spots[-1][0] + 40)]  # a prime: all lengths in turn, in no order
        if random.random() < 0.7:
            parts = self.sound[number % len(self.bases)].copy()
            for _ in range(random.choice((1, 1, 2, 3))):
                random.choice(PARTS)(random, parts)
            base = parts.pack()
        return random.choice(RAW)(random, base, spots) if random.random() < 0.4 else base


# --- adapters and checkpoints


class Adapters:
    """Mutants of safetensors files: a length, a header in JSON, and the numbers."""

    def __init__(self, folder: Path) -> None:
        self.base = Adapter.fresh(SHAPES, 2, 4.0, 7, "ab" * 32).save(folder / "base.adapter").read_bytes()

    def mutant(self, random: Random, number: int) -> bytes:
        size = int.from_bytes(self.base[:8], "little")
        spots = [(0, 8), *((at, 1) for at in range(8, 8 + size))]
        if random.random() < 0.4:
            return random.choice(RAW)(random, self.base, spots)
        header, numbers = json.loads(self.base[8 : 8 + size]), self.base[8 + size :]
        said = json.loads(header["__metadata__"]["edgesleep"])
        entry = header[random.choice([key for key in header if key != "__metadata__"])]
        deed = random.randrange(6)
        if deed == 0:
            kinds = ("F16", "BF16", "F64", "I64", "U8", "BOOL", "F8_E4M3", "F8_E8M0", "F4", "C64", "X", "")
            entry["dtype"] = random.choice(kinds)
        elif deed == 1:
            entry["shape"] = random.choices((*COUNTS, -1, 2, 32), k=random.choice((0, 1, 2, 3, 100)))
        elif deed == 2:
            entry["data_offsets"][random.randrange(2)] = random.choice((*COUNTS, -1))
        elif deed == 3:
            odd = (None, -1, 0, 2**70, 1e308, float("nan"), float("inf"), "x" * 5000, "\x1b[2J", [], {})
            said[random.choice([*said])] = random.choice(odd)
            header["__metadata__"]["edgesleep"] = json.dumps(said)
        elif deed == 4:
            names = ("", ".", "a", "x" * 5000, "\x1b[2J.lora_a", "blk.0.ffn_up.weight.lora_c", "__metadata__")
            header[random.choice(names)] = header.pop(random.choice([*header]))
        else:
            numbers = random.choice((b"", numbers[:-4], numbers + b"\0" * 4, b"\xff" * len(numbers)))
        text = json.dumps(header).encode() if random.random() < 0.95 else b"[" * random.choice((10, 100_000))
        return len(text).to_bytes(8, "little") + text + numbers


def fresh_run() -> Run:
    """A training run that has not begun, on no network."""
    plan = Plan(lambda number, losses: (), (), SimpleNamespace(), 1, 1.0, 0)  # type: ignore[arg-type]
    return Run(SimpleNamespace(moved=lambda: None), Adapter.fresh(SHAPES, 2, 4.0, 7, ""), plan, [])  # type: ignore[arg-type]


class Checkpoints:
    """Mutants of .npz files: arrays with headers of their own, in a zip."""

    def __init__(self, folder: Path) -> None:
        run = fresh_run()
        run.met, run.before = {"m": (1.5, 2)}, {"m": 0.5}
        run.save(folder / "base.checkpoint")
        self.base = (folder / "base.checkpoint").read_bytes()
        with zipfile.ZipFile(io.BytesIO(self.base)) as file:
            self.entries = {name: file.read(name) for name in file.namelist()}
        self.bomb = bytes(48 << 20)

    def mutant(self, random: Random, number: int) -> bytes:
        if random.random() < 0.3:
            ends = [(at, 1) for at in range(len(self.base) - 1500, len(self.base) - 8)]  # the zip's own table
            starts = [(at, 1) for at in range(min(400, len(self.base)))]
            return random.choice(RAW)(random, self.base, random.choice((starts, ends)))
        entries = dict(self.entries)
        name = random.choice([*entries])
        if random.random() < 0.4:
            entries["counters.npy"] = _counters(random, entries["counters.npy"])
        elif random.random() < 0.1:
            del entries[name]
        elif random.random() < 0.002:
            entries[name] += self.bomb
        else:
            entries[name] = _array(random, entries[name])
        whole = io.BytesIO()
        methods = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
        with zipfile.ZipFile(whole, "w", random.choice(methods), compresslevel=1) as file:
            for key, data in entries.items():
                file.writestr(key, data)
        return whole.getvalue()


def _counters(random: Random, data: bytes) -> bytes:
    """Other counters, of a sound form."""
    start = 10 + int.from_bytes(data[8:10], "little")
    counters = json.loads(data[start:].decode("utf-32-le"))
    odd = (None, "x", [], {}, {"m": 1}, {"m": []}, True, -1, 2**70, 1e308, float("nan"), float("inf"), [[]] * 1000)
    counters[random.choice([*counters, "other"])] = random.choice(odd)
    if random.random() < 0.2:
        del counters[random.choice([*counters])]
    whole = io.BytesIO()
    np.save(whole, np.array(json.dumps(counters)))
    return whole.getvalue()


def _array(random: Random, data: bytes) -> bytes:
    """Another header, or other numbers."""
    shapes = ("()", "(1,)", "(2, 64)", "(1, 1)", "(64, 2)", "(10**12,)", "(1000000000000,)", "(4294967296, 4294967296)",
              "(-1,)", "None", "(" * 3000, "('a',)")  # fmt: skip
    kinds = ("<f4", ">f4", "<f8", "|O", "<U9999999", "<U4", "|V0", "<c8", "x", "<i8", "|b1")
    header = f"{{'descr': '{random.choice(kinds)}', 'fortran_order': False, 'shape': {random.choice(shapes)}, }}\n"
    version = random.choice((1, 1, 1, 2, 3, 9))
    length = random.choice((len(header), len(header), *COUNTS)) % (1 << (16 if version == 1 else 32))
    size = length.to_bytes(2 if version == 1 else 4, "little")
    start = 10 + int.from_bytes(data[8:10], "little")
    numbers = random.choice((data[start:], b"", data[start:-1], data[start:] * 2, b"\xff" * 512))
    if random.random() < 0.3:
        return data[:start] + numbers
    return b"\x93NUMPY" + bytes((version, 0)) + size + header.encode() + numbers
