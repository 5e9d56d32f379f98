"""Whatever a model would say, under the grammar it proposes in words of the claims that it was shown."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import make_tiny

from edgesleep.engine import Engine
from edgesleep.night.forms import MOST, Proposal, grammar, parsed, shown, written
from edgesleep.night.phrases import fold, right
from edgesleep.records import Message

CLAIMS = ("I live in Skelwick.", "My sister Ottilie's allergic to walnuts", "We've got 3 hens")
ONE = Proposal(CLAIMS[0], "I", "Skelwick", "home", "Where do I live?", "I live in Skelwick.")
OTHER = Proposal(CLAIMS[2], "We", "hens", "animals", "What animals have we got?", "We've got 3 hens.")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    path = make_tiny(tmp_path_factory.mktemp("model") / "tiny.gguf", "llama", seed=2)  # of few that propose anything
    with Engine(path, threads=1, context=1200, sequences=2) as engine:
        yield engine


def test_what_is_written_is_read_back() -> None:
    assert tuple(parsed(written([ONE, OTHER]))) == (ONE, OTHER)
    assert tuple(parsed(written([]))) == ()


@pytest.mark.parametrize("text", ["", "none", "{}", '{"quote": 3}', "{{", written([ONE])[:-2]])
def test_what_is_not_whole_is_nothing(text: str) -> None:
    assert tuple(parsed(text)) == ()
    assert tuple(parsed(f"{written([OTHER])}\n{text}")) == (OTHER,)


def test_a_random_model_quotes_claims_and_takes_words_of_them(engine: Engine) -> None:
    prompts = [engine.chat([Message("user", text)]) for text in CLAIMS]
    found = []
    for tokens in engine.complete(prompts, 1000, grammars=[grammar(CLAIMS)] * len(prompts)):
        proposals = [*parsed(engine.text(tokens))]
        assert len(proposals) <= MOST * len(CLAIMS)
        found += proposals
    assert found, "some are whole"
    for proposal in found:
        assert proposal.quote in CLAIMS
        assert right(proposal.quote, proposal.value)
        assert proposal.subject in ("I", "We") or right(proposal.quote, proposal.subject)
        assert proposal.question.endswith("?")


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=60))
def test_any_claim_has_a_grammar(engine: Engine, text: str) -> None:
    claim = shown(text)
    if not fold(claim):
        return
    (tokens,) = engine.complete([engine.chat([Message("user", "go")])], 40, grammars=[grammar([claim])])
    wanted = f'{{"quote": "{claim}'.encode(errors="replace").decode()
    told = engine.text(tokens)
    assert told == "none" or wanted.startswith(told[: len(wanted)].rstrip("\ufffd")) or told == ""
