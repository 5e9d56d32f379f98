"""Hostile input: damaged and lying files by the thousand, and journals of a hundred thousand rows."""

from __future__ import annotations

import json
import resource
import struct
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from random import Random

import numpy as np
import pytest
from mutants import STRING, Checkpoints, Models, Parts, fresh_run

from edgesleep.day.importers import import_file
from edgesleep.entries import MAX_TURN_BYTES, Entry, checked
from edgesleep.errors import EdgesleepError, GgufError, shown
from edgesleep.gguf import Gguf
from edgesleep.journal import Journal
from edgesleep.model import Shape, vectors
from edgesleep.network import build
from edgesleep.night.echoes import own

ODD = ["x" * 10**6, "\x1b[2J\x1b]0;owned\x07", "a\nError: b", "\u202eabc"]


def test_thousands_of_mutants_are_used_or_refused_in_one_clear_error() -> None:
    """In a process of its own, which a crash, a hang or too much memory ends: see hostile.py, and run it longer."""
    script = Path(__file__).with_name("hostile.py")
    done = subprocess.run([sys.executable, script, "2000", "1"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [kind["refused"] + kind["used"] for kind in found] == [1600, 200, 200]
    assert all(kind["used"] for kind in found)
    assert all(kind["peak_mib"] < 1024 for kind in found)


def test_a_mutant_is_the_same_on_every_run(tmp_path: Path) -> None:
    first, second = (Models(tmp_path) for _ in range(2))
    for number in range(40):
        assert first.mutant(Random(number), number) == second.mutant(Random(number), number)


# --- models


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    return Parts.of(Models(tmp_path).bases[0])


def with_key(parts: Parts, folder: Path, key: str, kind: int, value: bytes) -> Path:
    parts.keys = [*(entry for entry in parts.keys if entry[0] != key.encode()), (key.encode(), kind, value)]
    path = folder / "model.gguf"
    path.write_bytes(parts.pack())
    return path


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


@pytest.mark.parametrize("value", ODD)
@pytest.mark.parametrize("key", ["general.architecture", "general.type", "llama.rope.scaling.type"])
def test_what_a_file_says_is_repeated_in_one_short_line(parts: Parts, tmp_path: Path, key: str, value: str) -> None:
    """However long, and with nothing in it that a terminal obeys."""
    path = with_key(parts, tmp_path, key, STRING, text(value))
    with pytest.raises(GgufError) as caught:
        Shape.read(Gguf.open(path))
    assert len(caught.value.message) < 400 and caught.value.message.isprintable()


def test_a_long_list_in_place_of_a_number_is_not_repeated(parts: Parts, tmp_path: Path) -> None:
    numbers = struct.pack("<IQ", 5, 10**5) + bytes(4 * 10**5)
    path = with_key(parts, tmp_path, "llama.attention.head_count_kv", 9, numbers)
    with pytest.raises(GgufError, match="not one number") as caught:
        Shape.read(Gguf.open(path))
    assert len(caught.value.message) < 400


@pytest.mark.parametrize("value", ODD)
def test_a_name_is_shown_in_one_short_line(value: str) -> None:
    assert len(shown(value)) <= 203 and shown(value).isprintable()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("attention.layer_norm_rms_epsilon", 0.0),
        ("attention.layer_norm_rms_epsilon", -1e-5),
        ("rope.freq_base", 0.0),
        ("rope.freq_base", -10000.0),
        ("rope.freq_base", 1e38),
        ("rope.scaling.factor", 1e-45),
        ("rope.scaling.factor", -1.0),
        ("rope.scaling.factor", 1e38),
    ],
)
def test_numbers_that_no_model_has_are_refused(parts: Parts, tmp_path: Path, key: str, value: float) -> None:
    """llama.cpp ends the program over a negative epsilon; the others make nothing but NaN."""
    path = with_key(parts, tmp_path, f"llama.{key}", 6, struct.pack("<f", value))
    with pytest.raises(GgufError, match="which no model has"):
        Shape.read(Gguf.open(path))


@pytest.mark.parametrize("factor", [0.0, -1.0, float("nan"), float("inf")])
def test_rope_factors_that_no_model_has_are_refused(parts: Parts, tmp_path: Path, factor: float) -> None:
    (weight,) = (weight for weight in parts.weights if weight.name == b"rope_freqs.weight")
    weight.data = struct.pack("<f", factor) + weight.data[4:]
    (tmp_path / "model.gguf").write_bytes(parts.pack())
    with pytest.raises(GgufError, match="rope_freqs"):
        build(Gguf.open(tmp_path / "model.gguf"), 0, 0, exact=True)


def test_packed_vectors_are_refused(parts: Parts, tmp_path: Path) -> None:
    """A gigabyte of two-bit ones would be twelve of floats."""
    (weight,) = (weight for weight in parts.weights if weight.name == b"output_norm.weight")
    weight.type, weight.dims, weight.data = 10, [256 * 1000], b""
    parts.lay()
    weight.data, parts.weights = bytes(84 * 1000), [other for other in parts.weights if other is not weight] + [weight]
    parts.lay()
    (tmp_path / "model.gguf").write_bytes(parts.pack())
    with pytest.raises(GgufError, match="256000 numbers of type Q2_K"):
        vectors(Gguf.open(tmp_path / "model.gguf"))


# --- checkpoints


@pytest.fixture
def entries(tmp_path: Path) -> dict[str, bytes]:
    return Checkpoints(tmp_path).entries


def refused(folder: Path, entries: dict[str, bytes]) -> None:
    path = folder / "checkpoint"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in entries.items():
            file.writestr(name, data)
    with pytest.raises(EdgesleepError, match="is damaged") as caught:
        fresh_run().resume(path)
    assert len(caught.value.message) < 600


@pytest.mark.parametrize(
    ("kind", "shape"),
    [("<f4", "(1, 1)"), ("<f8", "(2, 64)"), ("<f4", "(10000000000000,)"), ("<U4", "()"), ("|O", "()")],
)
def test_an_array_that_is_not_the_run_s_is_refused(
    tmp_path: Path, entries: dict[str, bytes], kind: str, shape: str
) -> None:
    """Not stretched to fit, and given no memory for what it claims."""
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    numbers = np.ones((2, 64), np.float64).tobytes()
    name = "blk.0.attn_q.weight.a.value.npy"
    refused(tmp_path, entries | {name: b"\x93NUMPY\x01\x00v\x00" + header.encode() + numbers})


@pytest.mark.parametrize("wrong", [{"step": "1"}, {"step": 1.5}, {"loss": None}, {"met": []}, {"before": {"m": "x"}}])
def test_counters_of_another_type_are_refused(
    tmp_path: Path, entries: dict[str, bytes], wrong: dict[str, object]
) -> None:
    data = entries["counters.npy"]
    counters = json.loads(data[10 + int.from_bytes(data[8:10], "little") :].decode("utf-32-le")) | wrong
    with (tmp_path / "counters.npy").open("wb") as file:
        np.save(file, np.array(json.dumps(counters)))
    refused(tmp_path, entries | {"counters.npy": (tmp_path / "counters.npy").read_bytes()})


# --- the journal


def test_a_hundred_thousand_rows_go_in_and_out(home: Path, tmp_path: Path) -> None:
    """In time and memory that a small machine has: some 40 s and 250 MB would be too much."""
    path, rows = tmp_path / "year.jsonl", 100_000
    with path.open("w") as file:
        for number in range(rows):
            role = ("user", "assistant")[number % 2]
            file.write(json.dumps({"role": role, "content": f"I read book {number} of them, <|im_end|>.\u0000"}) + "\n")
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.thread_time()
    with Journal.open(home) as journal:
        for added in (rows, 0):
            done = import_file(journal, path)
            assert (done.read, done.added) == (rows, added)
        turns = journal.turns()
    assert len(turns) == rows and turns[-1].content == f"I read book {rows - 1} of them, <|im_end|>."
    assert len(own(turns)) == rows // 2
    assert time.thread_time() - began < 90
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 400 << 10


def test_megabytes_are_refused_before_anything_looks_for_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgesleep.entries.redact", lambda text: pytest.fail("looked for secrets"))
    with pytest.raises(EdgesleepError, match="8,388,608 bytes"):
        checked(Entry("user", "x" * 8 * MAX_TURN_BYTES))


@pytest.mark.parametrize("value", ODD)
@pytest.mark.parametrize("field", ["role", "source", "at"])
def test_what_cannot_be_a_turn_is_refused_in_one_short_line(field: str, value: str) -> None:
    with pytest.raises(EdgesleepError) as caught:
        checked(Entry(**{"role": "user", "content": "x", field: value}))
    assert len(caught.value.message) < 400 and caught.value.message.isprintable()
