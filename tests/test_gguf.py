"""Reading, copying and refusing GGUF files."""

from __future__ import annotations

import hashlib
import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import gguf as ggufpy
import llama_cpp
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny import ARCHITECTURES, make_tiny, quantize

from edgesleep.errors import EdgesleepError, GgufError
from edgesleep.gguf import CHUNK, SUPPORTED_ARCHITECTURES, Gguf, write_adapter, write_copy


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny(tmp_path_factory.mktemp("tiny") / "tiny.gguf", "llama", ("Q4_1", "Q8_0"))


def logits(path: Path, adapter: Path | None = None) -> np.ndarray:
    """What llama.cpp says of 16 fixed tokens: [16, vocabulary]."""
    model = llama_cpp.Llama(str(path), n_ctx=64, logits_all=True, verbose=False)
    loaded = None
    if adapter is not None:
        loaded = llama_cpp.llama_adapter_lora_init(model.model, os.fsencode(adapter))
        assert loaded, f"llama.cpp refuses {adapter.name}"
        adapters = (llama_cpp.llama_adapter_lora_p_ctypes * 1)(loaded)
        assert (
            llama_cpp.llama_set_adapters_lora(model.ctx, adapters, 1, (llama_cpp.llama_cpp.ctypes.c_float * 1)(1.0))
            == 0
        )
    model.eval(list(range(40, 56)))
    return np.array(model.scores[:16])


# --- reading


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_tensor_and_value_is_what_the_library_reads(tmp_path: Path, architecture: str) -> None:
    path = make_tiny(tmp_path / "tiny.gguf", architecture, ("Q4_K", "Q6_K", "Q5_0", "F16"))
    model, reference = Gguf.open(path), ggufpy.GGUFReader(path)
    assert model.architecture == architecture in SUPPORTED_ARCHITECTURES
    assert list(model.tensors) == [tensor.name for tensor in reference.tensors]
    for expected in reference.tensors:
        found = model.tensors[expected.name]
        assert (found.type, found.shape) == (expected.tensor_type.name, tuple(reversed(expected.shape.tolist())))
        assert (found.offset, found.nbytes) == (expected.data_offset, expected.n_bytes)
        assert found.data.dtype == np.uint8 and found.data.ndim == 1 and not found.data.flags.writeable
        assert found.data.tobytes() == expected.data.tobytes()
    expected_values = {key: f.contents() for key, f in reference.fields.items() if not key.startswith("GGUF.")}
    assert dict(model.metadata) == expected_values


def test_it_counts_what_it_is_made_of(tiny: Path) -> None:
    assert Gguf.open(tiny).parameters == sum(int(t.n_elements) for t in ggufpy.GGUFReader(tiny).tensors)


def test_a_missing_key_has_a_default_or_an_error(tiny: Path) -> None:
    model = Gguf.open(tiny)
    assert model.get("no.such.key", 7) == 7
    with pytest.raises(GgufError, match=r"tiny\.gguf lacks the metadata key no\.such\.key"):
        model.require("no.such.key")


@pytest.mark.slow
def test_a_large_vocabulary_costs_little_to_open(gemma3: Path) -> None:
    """The library alone takes some 700 MB; the budget of 60 MB leaves room for pages of the file itself."""
    script = (
        "import pathlib, sys, psutil, edgesleep.gguf as g\n"
        "before = psutil.Process().memory_info().rss\n"
        "model = g.Gguf.open(pathlib.Path(sys.argv[1]))\n"
        "print(psutil.Process().memory_info().rss - before)"
    )
    out = subprocess.run([sys.executable, "-c", script, str(gemma3)], capture_output=True, text=True, check=True).stdout
    assert int(out) < 60e6
    tokens = Gguf.open(gemma3).require("tokenizer.ggml.tokens")
    assert len(tokens) == 262_144 and tokens[2] == "<bos>"


# --- refusing


def write(path: Path, keys: dict[str, object], tensor: bool = True) -> Path:
    """A file with `general.architecture` llama, the given keys, and perhaps one small tensor."""
    writer = ggufpy.GGUFWriter(path, "llama")
    for key, value in keys.items():
        if isinstance(value, str):
            writer.add_string(key, value)
        elif isinstance(value, list):
            writer.add_array(key, value)
        else:
            writer.add_uint16(key, value)
    if tensor:
        writer.add_tensor("w", np.zeros((2, 32), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def patched(source: Path, target: Path, offset: int, data: bytes) -> Path:
    content = bytearray(source.read_bytes())
    content[offset : offset + len(data)] = data
    target.write_bytes(content)
    return target


def refusal(path: Path) -> GgufError:
    with pytest.raises(GgufError) as caught:
        Gguf.open(path)
    error = caught.value
    assert path.name in error.message and error.hint
    return error


def test_files_that_are_no_model_are_named(tmp_path: Path) -> None:
    text = tmp_path / "text.gguf"
    text.write_text("not a model at all, but long enough for a header")
    assert "is not a GGUF file" in refusal(text).message
    (tmp_path / "empty.gguf").touch()
    assert "is not a GGUF file" in refusal(tmp_path / "empty.gguf").message
    assert "There is no model file" in refusal(tmp_path / "absent.gguf").message
    assert "There is no model file" in refusal(tmp_path).message
    assert "holds no weights" in refusal(write(tmp_path / "bare.gguf", {}, tensor=False)).message


def test_kinds_of_file_that_are_not_served_are_named(tmp_path: Path) -> None:
    assert "one part of a split model" in refusal(write(tmp_path / "split.gguf", {"split.count": 3})).message
    assert "one part of a split model" in refusal(write(tmp_path / "odd.gguf", {"split.count": "x"})).message
    assert "of the type adapter" in refusal(write(tmp_path / "lora.gguf", {"general.type": "adapter"})).message
    path = tmp_path / "bert.gguf"
    writer = ggufpy.GGUFWriter(path, "bert")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    error = refusal(path)
    assert "unsupported architecture bert" in error.message and "qwen3" in error.hint


def test_a_header_that_lies_is_refused_at_once(tiny: Path, tmp_path: Path) -> None:
    def with_header(version: int, tensors: int, keys: int) -> str:
        header = struct.pack("<IQQ", version, tensors, keys)
        return refusal(patched(tiny, tmp_path / "bad.gguf", 4, header)).message

    assert "GGUF version 1" in with_header(1, 1, 1)
    assert "GGUF version 9" in with_header(9, 1, 1)
    assert "big-endian" in with_header(3 << 24, 1, 1)
    assert "claims" in with_header(3, 1 << 60, 1)
    assert "claims" in with_header(3, 1, 1 << 60)
    assert "damaged" in with_header(3, 60_000, 60_000)


HUGE = struct.pack("<Q", 1 << 62)


def test_lying_lengths_and_lists_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "list.gguf", {"words": ["one", "two"], "numbers": [1, 2, 3]})
    content = path.read_bytes()
    words = content.index(b"words") + len(b"words") + 4 + 4  # then count, then length of "one"
    numbers = content.index(b"numbers") + len(b"numbers") + 4 + 4
    key = content.index(b"words") - 8
    for offset in (words, words + 8, numbers, key):
        for lie in (HUGE, struct.pack("<Q", 1 << 20), b"\xff" * 8):
            assert "damaged" in refusal(patched(path, tmp_path / "bad.gguf", offset, lie)).message
    nested = patched(path, tmp_path / "nested.gguf", words - 4, struct.pack("<I", 9))
    assert "list of ARRAY" in refusal(nested).message


def test_text_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "text.gguf", {"some.key": "value", "some.list": ["element"]})
    content = path.read_bytes()
    assert "damaged" in refusal(patched(path, tmp_path / "bad.gguf", content.index(b"some.key"), b"\xff\xfe")).message
    for key, word in (("some.key", b"value"), ("some.list", b"element")):
        bad = patched(path, tmp_path / "bad.gguf", content.index(word), b"\xff\xfe")
        with pytest.raises(GgufError, match=f"{key} is not UTF-8"):
            Gguf.open(bad).get(key)


def info_offset(content: bytes, name: bytes) -> int:
    """Where a two-dimensional tensor's description goes on after its name: u32 dims, 2 u64, u32 type, u64 offset."""
    return content.rindex(name) + len(name)


def test_lying_tensors_are_refused(tmp_path: Path, tiny: Path) -> None:
    content = tiny.read_bytes()
    at = info_offset(content, b"blk.0.attn_q.weight")
    lies = {
        "dimensions": (at, struct.pack("<I", 5)),
        "no dimensions": (at, struct.pack("<I", 0)),
        "rows that are no whole blocks": (at + 4, struct.pack("<Q", 33)),
        "an empty row": (at + 4, struct.pack("<Q", 0)),
        "a product beyond 64 bits": (at + 4, struct.pack("<QQ", 1 << 40, 1 << 40)),
        "a longer tensor": (at + 12, struct.pack("<Q", 1 << 20)),
        "an unknown type": (at + 20, struct.pack("<I", 999)),
        "another type": (at + 20, struct.pack("<I", ggufpy.GGMLQuantizationType.F32)),
        "an offset outside": (at + 24, HUGE),
        "an overlap": (at + 24, struct.pack("<Q", 0)),
    }
    for name, (offset, data) in lies.items():
        assert "damaged" in refusal(patched(tiny, tmp_path / "bad.gguf", offset, data)).message, name


def test_a_size_that_goes_round_in_32_bits_is_refused(tmp_path: Path) -> None:
    """The library counts in the 32 bits of the alignment, in which such a tensor seems to end before it begins."""
    path = tmp_path / "round.gguf"
    writer = ggufpy.GGUFWriter(path, "llama")
    writer.add_custom_alignment(32)
    writer.add_tensor("w", np.zeros(32, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    assert Gguf.open(path).tensors["w"].nbytes == 128
    at = path.read_bytes().rindex(b"w" + struct.pack("<I", 1)) + 5
    lying = patched(path, tmp_path / "bad.gguf", at, struct.pack("<Q", 2**30 - 8))
    assert "w claims bytes" in refusal(lying).message


def test_a_name_given_twice_is_refused(tmp_path: Path, tiny: Path) -> None:
    content = tiny.read_bytes()
    name = content.rindex(b"blk.0.attn_q.weight")
    assert "two tensors named" in refusal(patched(tiny, tmp_path / "a.gguf", name, b"blk.1.attn_q.weight")).message
    path = write(tmp_path / "twice.gguf", {"some.key": "a", "same.key": "b"})
    key = path.read_bytes().index(b"same.key")
    assert "two values of some.key" in refusal(patched(path, tmp_path / "b.gguf", key, b"some.key")).message


@settings(max_examples=60, deadline=2000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_file_cut_anywhere_is_refused(tiny: Path, tmp_path: Path, data: st.DataObject) -> None:
    """Anywhere before the end of the last tensor; the padding behind it carries nothing."""
    last = list(Gguf.open(tiny).tensors.values())[-1]
    length = data.draw(st.integers(0, last.offset + last.nbytes - 1))
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(tiny.read_bytes()[:length])
    refusal(cut)


@settings(max_examples=150, deadline=2000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1), damage=st.binary(min_size=1, max_size=8))
def test_a_damaged_header_opens_or_is_refused(tiny: Path, tmp_path: Path, place: float, damage: bytes) -> None:
    """Nothing but GgufError leaves the reader, and what does open can be read to the end."""
    header = Gguf.open(tiny).tensors["token_embd.weight"].offset
    path = patched(tiny, tmp_path / "bad.gguf", int(place * header), damage)
    try:
        model = Gguf.open(path)
        dict(model.metadata)
        assert all(len(tensor.data) == tensor.nbytes for tensor in model.tensors.values())
    except GgufError as error:
        assert error.message


# --- copying


def test_a_copy_without_replacements_is_the_file(tiny: Path, tmp_path: Path) -> None:
    sha, size = write_copy(Gguf.open(tiny), tmp_path / "copy.gguf", {})
    assert (tmp_path / "copy.gguf").read_bytes() == tiny.read_bytes()
    assert (sha, size) == (hashlib.sha256(tiny.read_bytes()).hexdigest(), tiny.stat().st_size)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_only_the_replaced_tensors_change(tiny: Path, tmp_path: Path, data: st.DataObject) -> None:
    source = Gguf.open(tiny)
    chosen = data.draw(st.sets(st.sampled_from(sorted(source.tensors)), min_size=1))
    tile = data.draw(st.sampled_from([1, 31, 32, 4096]) if len(chosen) < 4 else st.just(4096))
    random = np.random.default_rng(0)
    new = {name: random.integers(0, 256, source.tensors[name].nbytes, np.uint8) for name in chosen}

    def tiles(name: str) -> Iterator[bytes | np.ndarray]:
        for index, start in enumerate(range(0, len(new[name]), tile)):
            piece = new[name][start : start + tile]
            yield piece.tobytes() if index % 2 else piece

    path = tmp_path / "copy.gguf"
    sha, size = write_copy(source, path, {name: tiles(name) for name in chosen})
    expected = bytearray(tiny.read_bytes())
    for name in chosen:
        tensor = source.tensors[name]
        expected[tensor.offset : tensor.offset + tensor.nbytes] = new[name].tobytes()
    assert path.read_bytes() == bytes(expected)
    assert (sha, size) == (hashlib.sha256(expected).hexdigest(), len(expected))


def test_bytes_after_the_last_tensor_and_long_stretches_are_copied(tiny: Path, tmp_path: Path) -> None:
    longer = tmp_path / "longer.gguf"
    longer.write_bytes(tiny.read_bytes() + bytes(range(256)) * (CHUNK // 256) + b"end")
    write_copy(Gguf.open(longer), tmp_path / "copy.gguf", {})
    assert (tmp_path / "copy.gguf").read_bytes() == longer.read_bytes()


@pytest.mark.parametrize("difference", [-1, 1, 4096])
def test_a_replacement_of_the_wrong_size_leaves_nothing(tiny: Path, tmp_path: Path, difference: int) -> None:
    source = Gguf.open(tiny)
    tensor = source.tensors["blk.1.ffn_up.weight"]
    with pytest.raises(GgufError, match=rf"than the {tensor.nbytes} bytes of blk\.1\.ffn_up\.weight"):
        write_copy(source, tmp_path / "out" / "c.gguf", {tensor.name: [bytes(tensor.nbytes + difference)]})
    assert list((tmp_path / "out").iterdir()) == []


def test_a_copy_that_fails_keeps_the_file_that_was_there(tiny: Path, tmp_path: Path) -> None:
    def interrupted() -> Iterator[bytes]:
        yield b"some"
        raise KeyboardInterrupt

    path = tmp_path / "out" / "copy.gguf"
    path.parent.mkdir()
    path.write_bytes(b"before")
    with pytest.raises(KeyboardInterrupt):
        write_copy(Gguf.open(tiny), path, {"output.weight": interrupted()})
    with pytest.raises(GgufError, match=r"has no tensor no\.such"):
        write_copy(Gguf.open(tiny), path, {"no.such": [b""]})
    assert path.read_bytes() == b"before" and list(path.parent.iterdir()) == [path]


def test_the_source_is_never_overwritten(tiny: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.gguf"
    link.symlink_to(tiny)
    before = tiny.read_bytes()
    for path in (tiny, link):
        with pytest.raises(GgufError, match="never overwritten"):
            write_copy(Gguf.open(tiny), path, {})
    assert tiny.read_bytes() == before


def test_a_full_disk_is_one_clear_error(tiny: Path, tmp_path: Path) -> None:
    """The limit on a file's size stands in for the disk: the system refuses the write in the same place."""
    resource = pytest.importorskip("resource", reason="the system has no limit on a file's size to set")
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (tiny.stat().st_size // 2, old[1]))
    try:
        with pytest.raises(EdgesleepError, match="cannot be written") as caught:
            write_copy(Gguf.open(tiny), tmp_path / "out" / "c.gguf", {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    assert "Free space" in caught.value.hint and list((tmp_path / "out").iterdir()) == []


# --- adapters


def test_llama_cpp_loads_an_adapter_and_means_the_same_by_it(tmp_path: Path) -> None:
    """W + alpha / r * B A as an adapter, and as a model of its own: within 2 % of the spread of the logits.

    What remains is llama.cpp's rounding of activations, which differs between a kept and a merged delta.
    """
    base = make_tiny(tmp_path / "base.gguf", "llama", "F32")
    random = np.random.default_rng(5)
    rank, alpha = 4, 8.0
    factors, merged = {}, {}
    for name in ("blk.0.attn_q.weight", "blk.0.ffn_down.weight", "blk.1.attn_output.weight"):
        tensor = Gguf.open(base).tensors[name]
        out, into = tensor.shape
        a = random.standard_normal((rank, into)).astype(np.float32) / np.float32(into) ** 0.5
        b = 0.2 * random.standard_normal((out, rank)).astype(np.float32)
        factors[name] = (a, b)
        merged[name] = [tensor.data.view(np.float32).reshape(out, into) + np.float32(alpha / rank) * (b @ a)]
    path = write_adapter(tmp_path / "lora.gguf", "llama", factors, alpha, {"edgesleep.base.sha256": "00ff"})
    write_copy(Gguf.open(base), tmp_path / "merged.gguf", merged)

    plain, adapted, wanted = logits(base), logits(base, path), logits(tmp_path / "merged.gguf")
    assert np.abs(wanted - plain).max() > 1.0, "the delta has to matter"
    assert np.abs(adapted - wanted).max() < 0.02 * wanted.std()
    reader = ggufpy.GGUFReader(path)
    assert reader.fields["general.type"].contents() == "adapter"
    assert reader.fields["edgesleep.base.sha256"].contents() == "00ff"
    assert "of the type adapter" in refusal(path).message


def test_factors_that_do_not_fit_leave_nothing(tmp_path: Path) -> None:
    a, b = np.ones((4, 64), np.float32), np.ones((32, 4), np.float32)
    path = tmp_path / "out" / "lora.gguf"
    for bad in ((a, b.T), (a[0], b), (a * np.nan, b), (a, b * np.inf)):
        with pytest.raises(GgufError, match=r"factors of blk\.0\.attn_q\.weight"):
            write_adapter(path, "llama", {"blk.0.attn_q.weight": bad}, 8.0, {})
    assert not path.parent.exists()


# --- the tiny models themselves


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("types", ["Q4_0", "Q5_1", "BF16", ("Q2_K", "Q3_K", "Q5_K", "Q8_0")], ids=str)
def test_llama_cpp_evaluates_every_tiny_model(tmp_path: Path, architecture: str, types: str | tuple[str, ...]) -> None:
    plain = make_tiny(tmp_path / "a.gguf", architecture, types, tied=False)
    other = make_tiny(tmp_path / "b.gguf", architecture, types, tied=True, rope_factors=architecture == "llama", seed=1)
    found = [logits(plain), logits(other)]
    assert all(np.isfinite(scores).all() and 2 < scores.std() < 8 for scores in found)
    assert ("output.weight" in Gguf.open(plain).tensors) == (architecture != "gemma3")
    assert "output.weight" not in Gguf.open(other).tensors
    assert make_tiny(tmp_path / "c.gguf", architecture, types).read_bytes() == plain.read_bytes()


def test_the_tiny_tokenizer_is_a_real_one(tiny: Path) -> None:
    model = llama_cpp.Llama(str(tiny), n_ctx=64, verbose=False)
    text = "the sand and the rest, in Zürich: 42 \n"
    tokens = model.tokenize(text.encode(), add_bos=False)
    assert len(tokens) < len(text.encode()) and model.detokenize(tokens).decode() == text
    assert len(model.tokenize(b"<|im_start|>user<|im_end|>", add_bos=False, special=True)) == 5  # u, s, er


@pytest.mark.parametrize("kind", ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "F16", "BF16"])
def test_two_libraries_quantize_alike(kind: str) -> None:
    """ggml's optimised quantizers may break ties otherwise: less than 1 % of the bytes."""
    values = np.random.default_rng(3).standard_normal((8, 256)).astype(np.float32)
    ours, theirs = quantize(values, kind), ggufpy.quantize(values, ggufpy.GGMLQuantizationType[kind]).view(np.uint8)
    assert ours.shape == theirs.shape and (ours != theirs).mean() < 0.01
