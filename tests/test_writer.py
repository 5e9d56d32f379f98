"""Writing in the native network: the logits are those of whole texts, whatever is written beside them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from reference import by_kernel
from tiny import ARCHITECTURES, make_tiny

from edgesleep import writer
from edgesleep.adapter import Adapter
from edgesleep.errors import KernelError
from edgesleep.gguf import Gguf
from edgesleep.network import Network
from edgesleep.writer import Writer

Floats = NDArray[np.float32]

NEAR = 0.1  # logits, whose spread is 4: keys and values are kept in bf16
LENGTHS = (1, 16, 17, 40)

pytestmark = pytest.mark.usefixtures("one_thread")


def of(path: Path, exact: bool = True) -> Network:
    return Network(Gguf.open(path), 0, exact=exact)


def text(length: int, seed: int = 7) -> list[int]:
    return np.random.default_rng(seed).integers(0, 250, length).tolist()


def never(token: int) -> bool:
    return False


def extend(net: Network, entries: list[tuple[int, int]], places: list[int]) -> Floats:
    tokens, texts = (np.array(column, np.int32) for column in zip(*entries, strict=True))
    return net.extend(tokens, texts, np.array(places, np.int32))


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny(tmp_path_factory.mktemp("writer") / "tiny.gguf", "llama", seed=1)


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_texts_grown_side_by_side_have_the_logits_of_whole_ones(tmp_path: Path, architecture: str, exact: bool) -> None:
    """Given in pieces of several tokens and one at a time; beyond gemma3's window of 8, past a block of 16."""
    path = make_tiny(tmp_path / "tiny.gguf", architecture, "Q4_1", seed=1)
    net, texts = of(path, exact), [text(length, length) for length in LENGTHS]
    wanted = [of(path, exact).logits(tokens)[-1] for tokens in texts]
    net.write(len(texts), max(LENGTHS))
    found: dict[int, Floats] = {}
    pieces = [[tokens[:5], tokens[5:9], *([token] for token in tokens[9:])] for tokens in texts]
    while any(pieces):
        entries, last = [], []
        for i, own in enumerate(pieces):
            if own and (piece := own.pop(0)):
                entries += [(token, i) for token in piece]
                last.append((len(entries) - 1, i))
        if entries:
            for row, (_, i) in zip(extend(net, entries, [place for place, _ in last]), last, strict=True):
                found[i] = row.copy()
    for i, row in enumerate(wanted):
        assert np.abs(found[i] - row).max() < NEAR * (1 if exact else 6), f"text of {LENGTHS[i]} tokens"


def test_heads_of_any_width_are_written(tmp_path: Path) -> None:
    """Of 24, which is no whole number of blocks."""
    path = make_tiny(tmp_path / "tiny.gguf", "llama", "F32", seed=1, embd=96)
    net, tokens = of(path), text(20)
    net.write(1, 20)
    found = extend(net, [(token, 0) for token in tokens], list(range(20)))
    assert np.abs(found - of(path).logits(tokens)).max() < NEAR


def test_a_shared_beginning_is_each_texts_own(path: Path) -> None:
    net, beginning = of(path), text(12)
    net.write(3, 20)
    extend(net, [(token, 0) for token in beginning], [])
    net.share(3)
    rows = extend(net, [(5, 2), (6, 1), (7, 0)], [0, 1, 2])
    for row, token in zip(rows, (5, 6, 7), strict=True):
        assert np.abs(row - of(path).logits([*beginning, token])[-1]).max() < NEAR


def test_training_goes_on_after_writing(path: Path) -> None:
    """What follows is a batch again, with positions of its own."""
    net, tokens = of(path), text(30)
    before = net.logits(tokens)
    net.write(2, 10)
    extend(net, [(1, 0), (2, 1)], [0])
    assert np.array_equal(net.logits(tokens), before)


def test_other_weights_begin_other_texts(path: Path) -> None:
    """What was kept of texts is of no use to a network that has learned."""
    net = of(path)
    net.write(1, 10)
    extend(net, [(1, 0)], [])
    net.attach(Adapter.fresh(net.shapes, 4, 8.0, 0, "base"))
    with pytest.raises(KernelError):
        extend(net, [(2, 0)], [])


def test_the_memory_of_a_text_is_what_its_tokens_take(tmp_path: Path) -> None:
    """Two layers, keys and values in bf16, two heads: of 16 in whole blocks, and of 24, which take two each."""
    assert of(make_tiny(tmp_path / "a.gguf", "llama", "F32", embd=64)).cache_bytes == 2 * 2 * 2 * 2 * 16
    assert of(make_tiny(tmp_path / "b.gguf", "llama", "F32", embd=96)).cache_bytes == 2 * 2 * 2 * 2 * 32


def test_kernels_and_threads_change_no_bit_of_what_is_written(path: Path) -> None:
    def written() -> bytes:
        net = of(path, exact=False)
        net.write(2, 20)
        return extend(net, [(token, i % 2) for i, token in enumerate(text(40))], [38, 39]).tobytes()

    assert len(set(by_kernel(written))) == 1


@settings(max_examples=10, deadline=None)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=12), st.integers(1, 12), st.integers(0, 2**31), st.booleans())
def test_what_is_written_depends_on_no_neighbour(
    path: Path, lengths: list[int], side_by_side: int, seed: int, exact: bool
) -> None:
    """In any order and beside anything, each prompt is gone on with in the same way; whoever ends first is left."""
    prompts = [text(length, i) for i, length in enumerate(lengths)]
    ask = {"limit": 6, "temperature": 1.0, "seed": seed}
    wanted = Writer(of(path, exact), never, 64 << 20).complete(prompts, **ask)
    assert all(len(answer) == 6 for answer in wanted)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writer, "MOST", side_by_side)
        assert Writer(of(path, exact), never, 64 << 20).complete(prompts, **ask) == wanted
        ends = {token for answer in wanted for token in answer[1::3]}
        found = Writer(of(path, exact), ends.__contains__, 64 << 20).complete(prompts, **ask)
        for whole, ended in zip(wanted, found, strict=True):
            assert ended == whole[: next((i for i, token in enumerate(whole) if token in ends), 6)]


def test_greedy_writing_takes_the_likeliest_token(path: Path) -> None:
    prompts = [text(9), text(4), text(25)]
    for prompt, answer in zip(prompts, Writer(of(path), never, 64 << 20).complete(prompts, 5), strict=True):
        for i, token in enumerate(answer):
            logits = of(path).logits([*prompt, *answer[:i]])[-1]
            assert logits[token] > logits.max() - NEAR


def test_a_turn_that_ends_is_left(path: Path) -> None:
    prompts = [text(9), text(4)]
    whole = Writer(of(path), never, 64 << 20).complete(prompts, 8)
    ended = Writer(of(path), lambda token: token == whole[0][3], 64 << 20).complete(prompts, 8)
    assert ended[0] == whole[0][: whole[0].index(whole[0][3])]


def test_little_memory_writes_one_after_the_other(path: Path) -> None:
    prompts = [text(9, i) for i in range(5)]
    scant = Writer(of(path), never, 1)
    assert scant.complete(prompts, 4, temperature=1.0) == Writer(of(path), never, 64 << 20).complete(
        prompts, 4, temperature=1.0
    )
    assert scant.sequences == 1


@pytest.mark.parametrize(
    "ask",
    [
        lambda net: extend(net, [(1, 2)], []),
        lambda net: extend(net, [(1, -1)], []),
        lambda net: extend(net, [(-1, 0)], []),
        lambda net: extend(net, [(1 << 20, 0)], []),
        lambda net: extend(net, [(1, 0)] * 5, []),
        lambda net: extend(net, [(1, 0)], [1]),
        lambda net: extend(net, [(1, 0)], [-1]),
        lambda net: net.write(0, 4),
        lambda net: net.write(4, 0),
    ],
    ids=["text", "text below", "token below", "token", "room", "place", "place below", "no text", "no room"],
)
def test_what_has_no_place_is_refused_and_nothing_is_written(path: Path, ask: Callable[[Network], object]) -> None:
    net = of(path)
    net.write(2, 4)
    with pytest.raises(KernelError):
        ask(net)
    assert extend(net, [(token, 0) for token in (1, 2, 3, 4)], [3]).shape == (1, net.vocabulary)


def test_nothing_is_written_before_there_is_room(path: Path) -> None:
    net = of(path)
    with pytest.raises(KernelError):
        extend(net, [(1, 0)], [])
    with pytest.raises(KernelError):
        net.share(1)
