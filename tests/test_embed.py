"""Sentences as vectors: what both kinds promise, what the real model finds, and which of them is chosen."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgesleep import embed
from edgesleep.embed import Embedder, MiniLM, Pieces, nearest
from edgesleep.errors import EdgesleepError

TEXTS = st.lists(st.text(max_size=40), max_size=12)
SAID = [  # each with another wording of it, and nothing in common with the next
    ("My sister Ingrid moved to Bergen last week.", "Ingrid, my sister, lives in Bergen now."),
    ("I am allergic to peanuts.", "Peanuts make me ill, so I cannot eat them."),
    ("Our dog is called Pretzel.", "The name of our dog is Pretzel."),
    ("The invoice has to be paid by Friday.", "Friday is the last day for paying the invoice."),
]


@pytest.fixture(scope="session")
def minilm() -> MiniLM:
    """The real model, on one thread."""
    return MiniLM(threads=1)


@pytest.fixture(params=[pytest.param("minilm", marks=pytest.mark.slow), "pieces"])
def either(request: pytest.FixtureRequest) -> Embedder:
    return request.getfixturevalue("minilm") if request.param == "minilm" else Pieces()


# --- what both kinds promise


def test_a_vector_for_every_text(either: Embedder) -> None:
    vectors = either.embed(["one", "", "?!", "two words", "日本語", "word " * 1000])
    assert vectors.shape == (6, either.width) and vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1] * 6, abs=1e-5)
    assert either.embed([]).shape == (0, either.width)
    assert either.name and not either.why


def test_a_text_has_the_same_vector_alone_as_in_company(either: Embedder) -> None:
    texts = [text for pair in SAID for text in pair] + ["Hi.", "A long one. " * 60]
    together = either.embed(texts)
    alone = np.concatenate([either.embed([text]) for text in texts])
    assert np.abs(together - alone).max() < 1e-5


def test_another_wording_is_nearer_than_another_thing(either: Embedder) -> None:
    first, second = (either.embed(texts) for texts in zip(*SAID, strict=True))
    places, cosines = nearest(first, second, 2)
    assert places[:, 0].tolist() == [0, 1, 2, 3]
    assert (cosines[:, 0] > cosines[:, 1] + 0.1).all()


# --- counted pieces


def test_importing_it_loads_no_library() -> None:
    code = "import sys, edgesleep.embed; print(sys.modules.keys() & {'onnxruntime', 'tokenizers', 'huggingface_hub'})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


@given(TEXTS)
def test_pieces_of_any_text_make_a_unit_vector(texts: list[str]) -> None:
    vectors = Pieces().embed(texts)
    assert vectors.shape == (len(texts), Pieces.width)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert np.array_equal(vectors, np.concatenate([Pieces().embed([text]) for text in texts] or [vectors]))


def test_pieces_are_the_same_in_every_process() -> None:
    code = "from edgesleep.embed import Pieces; print(Pieces().embed(['My sister Ingrid'])[0].nonzero()[0].tolist())"
    printed = {
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env).stdout
        for env in ({"PYTHONHASHSEED": "1"}, {"PYTHONHASHSEED": "2"})
    }
    assert printed == {f"{Pieces().embed(['My sister Ingrid'])[0].nonzero()[0].tolist()}\n"}


def test_pieces_look_past_case_marks_and_endings() -> None:
    a, b, c, d = Pieces().embed(["I like lurchers!", "i LIKE: lurchers", "I like a lurcher", "We sold two boats"])
    assert a @ b == pytest.approx(1, abs=1e-5)
    assert a @ c > 0.5 > 0.1 > a @ d


def test_a_word_said_often_does_not_drown_the_rest() -> None:
    repeated, boat = Pieces().embed([f"boat {'rope ' * 50}", "boat"])
    assert repeated @ boat > 0.1


# --- the real model


@pytest.mark.slow
def test_the_model_knows_what_shares_no_word(minilm: MiniLM) -> None:
    asked = minilm.embed(["Which musical instrument is being studied?"])
    held = minilm.embed(["I take accordion lessons on Tuesdays.", "Which bus is being repaired?", "I sold my car."])
    assert nearest(asked, held, 1)[0].tolist() == [[0]]


@pytest.mark.slow
def test_what_comes_after_the_limit_is_not_read(minilm: MiniLM) -> None:
    start = "rope " * 300
    a, b = minilm.embed([start, f"{start} My sister Ingrid moved to Bergen."])
    assert a @ b == pytest.approx(1, abs=1e-5)


# --- which one it is


@pytest.mark.slow
def test_the_model_is_chosen_where_it_is_there() -> None:
    said: list[str] = []
    chosen = embed.load(1, say=said.append)
    assert (chosen.name, chosen.why) == (MiniLM.name, "") and not [line for line in said if "letters" in line]


@pytest.mark.parametrize("library", ["onnxruntime", "tokenizers"])
def test_without_a_library_pieces_are_chosen_and_nothing_is_fetched(
    library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.setenv("EDGESLEEP_CACHE", str(tmp_path / "cache"))
    said: list[str] = []
    chosen = embed.load(say=said.append)
    assert chosen.name == Pieces.name and library in chosen.why
    assert len(said) == 1 and "letters" in said[0] and chosen.why in said[0]
    assert not (tmp_path / "cache").exists()


def test_without_the_model_pieces_are_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGESLEEP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("downloaded"))
    chosen = embed.load(download=False)
    assert chosen.name == Pieces.name and chosen.why == "minilm-l6-int8 is not on this machine."
    with pytest.raises(EdgesleepError, match="not on this machine") as caught:
        MiniLM(download=False)
    assert str(tmp_path / "cache" / "minilm-l6-int8" / "model.onnx") in caught.value.hint


# --- what is near


def test_the_nearest_come_first_and_of_equals_the_earlier() -> None:
    vectors = np.array([[0, 1], [1, 0], [0.6, 0.8], [1, 0]], np.float32)
    places, cosines = nearest(np.array([[1, 0], [0, 1]], np.float32), vectors, 3)
    assert places.tolist() == [[1, 3, 2], [0, 2, 1]]
    assert cosines == pytest.approx(np.array([[1, 1, 0.6], [1, 0.8, 0]]))


def test_there_may_be_fewer_than_asked_for_or_none() -> None:
    one, none = np.ones((1, 1), np.float32), np.empty((0, 1), np.float32)
    assert [part.shape for part in nearest(one, one, 5)] == [(1, 1)] * 2
    assert [part.shape for part in nearest(one, none, 5)] == [(1, 0)] * 2
    assert [part.shape for part in nearest(none, one, 5)] == [(0, 1)] * 2
