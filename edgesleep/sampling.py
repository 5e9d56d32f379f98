"""Going on with texts: many side by side, one token each at a time.

Owns what is fed in which order, and the drawing of tokens. Leaves logits to a
decoder, which is llama.cpp (`engine`) or the native network (`writer`).
Invariant: what is drawn depends on prompts, logits, guides and seed alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgesleep.model import Tokens, common

Floats = NDArray[np.float32]
Entry = tuple[int, int, int, bool]  # token, position, sequence, whether its logits are wanted


class Decoder(Protocol):
    """What computes the next token's logits."""

    sequences: int  # texts side by side
    context: int  # tokens of each
    batch: int  # entries at once

    def ends(self, token: int) -> bool: ...
    def clear(self) -> None: ...
    def share(self, sequences: int) -> None:
        """The first `sequences` texts become what text 0 is."""

    def decode(self, entries: Sequence[Entry]) -> Floats:
        """Add tokens to their texts; the wanted logits in order, [wanted, vocabulary], valid until the next call."""


class Guide(Protocol):
    """What one text may go on with."""

    def choose(self, logits: Floats) -> int:
        """The likeliest token, [vocabulary], of those that fit what was chosen before."""


def complete(
    decoder: Decoder,
    prompts: Sequence[Tokens],
    limit: int,
    temperature: float,
    seed: int,
    guides: Sequence[Guide] = (),
) -> list[list[int]]:
    """Continue each prompt by at most `limit` tokens, until it ends its turn (that token is left out).

    Greedy at temperature 0, and where `guides` are given, one for each prompt, which then choose.
    `decoder.sequences` prompts run side by side, in order of length. Of a prompt that does not fit beside its answer
    the end is kept.
    """
    chances = np.random.default_rng(seed).random((len(prompts), limit))  # of each text its own, whoever is beside it
    answers: list[list[int]] = [[] for _ in prompts]
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    for first in range(0, len(order), decoder.sequences):
        group = order[first : first + decoder.sequences]
        texts, led = [prompts[i] for i in group], [guides[i] for i in group] if guides else []
        written = _together(decoder, texts, chances[group], temperature, led)
        for index, answer in zip(group, written, strict=True):
            answers[index] = answer
    return answers


def _together(
    decoder: Decoder,
    prompts: Sequence[Tokens],
    chances: NDArray[np.float64],
    temperature: float,
    guides: Sequence[Guide],
) -> list[list[int]]:
    decoder.clear()
    limit = chances.shape[1]
    room = decoder.context - limit
    fitting = [list(prompt[-room:]) for prompt in prompts]
    answers: list[list[int]] = [[] for _ in prompts]
    active = list(range(len(prompts)))
    rows = _prefill(decoder, fitting)
    for step in range(limit):
        if guides:
            chosen = np.array([guides[seq].choose(row) for seq, row in zip(active, rows, strict=True)])
        else:
            chosen = np.array(draw(rows, temperature, chances[active, step]))
        going = [(seq, int(token)) for seq, token in zip(active, chosen, strict=True) if not decoder.ends(int(token))]
        for seq, token in going:
            answers[seq].append(token)
        active = [seq for seq, _ in going]
        if not active or step == limit - 1:
            break
        rows = decoder.decode([(token, len(fitting[seq]) + step, seq, True) for seq, token in going])
    return answers


def _prefill(decoder: Decoder, prompts: Sequence[Tokens]) -> Floats:
    """Feed a prompt to each sequence, their common beginning once; the logits after each one's last token."""
    shared = common(prompts)
    for start in range(0, shared, decoder.batch):
        part = prompts[0][start : min(start + decoder.batch, shared)]
        decoder.decode([(token, start + i, 0, False) for i, token in enumerate(part)])
    if shared:
        decoder.share(len(prompts))
    last = [len(prompt) - 1 for prompt in prompts]
    entries = [
        (token, shared + i, seq, shared + i == last[seq])
        for seq, prompt in enumerate(prompts)
        for i, token in enumerate(prompt[shared:])
    ]
    parts = [
        np.array(decoder.decode(entries[start : start + decoder.batch]))
        for start in range(0, len(entries), decoder.batch)
    ]
    return np.concatenate(parts)


def draw(logits: Floats, temperature: float, chances: NDArray[np.float64]) -> list[int]:
    """One token a row: the likeliest at temperature 0, else from the softmax of logits / temperature, where its
    cumulated sum reaches the row's chance.
    """
    if temperature <= 0:
        return [int(token) for token in logits.argmax(axis=1)]
    found = []
    for row, chance in zip(logits, chances, strict=True):  # of a vocabulary, two rows of doubles are much
        sums = np.exp((row - row.max()) / temperature).cumsum(dtype=np.float64)
        found.append(int(sums.searchsorted(chance * sums[-1], side="right")))
    return found
