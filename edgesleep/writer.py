"""Text that the base writes itself, computed by the native network.

Owns how many texts are written side by side, and their memory. Leaves drawing
to `sampling` and the arithmetic to `network`. Invariant: the base writes, with
no adapter attached; what is served is asked through `engine` alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from edgesleep import sampling
from edgesleep.gguf import Gguf
from edgesleep.model import Tokens
from edgesleep.network import Floats, Network
from edgesleep.sampling import Entry

WRITER = "native, 8 bits"  # what texts are by that are kept for later nights
MOST = 48  # texts side by side: more make a token no cheaper


class Writer:
    """The base of `network`, writing within `memory` bytes; `ends` says whether a token ends a turn."""

    def __init__(self, network: Network, ends: Callable[[int], bool], memory: int) -> None:
        self.network, self.ends, self.memory = network, ends, memory
        self.sequences = self.context = 1
        self.batch = network.batch_tokens

    @classmethod
    def of(cls, base: Path, ends: Callable[[int], bool], memory: int) -> Writer:
        """The file's own network, in 8 bits as llama.cpp computes."""
        return cls(Network(Gguf.open(base), 0, memory, exact=False), ends, memory)

    def complete(
        self, prompts: Sequence[Tokens], limit: int, *, temperature: float = 0.0, seed: int = 0
    ) -> list[list[int]]:
        """Continue each prompt as `sampling.complete` does."""
        self.context = limit + max(map(len, prompts), default=1)
        a_text = self.context * self.network.cache_bytes + 12 * self.network.vocabulary  # logits are held three times
        left = self.memory - self.batch * self.network.token_bytes
        self.sequences = max(1, min(MOST, len(prompts), left // a_text))
        return sampling.complete(self, prompts, limit, temperature, seed)

    def clear(self) -> None:
        self.network.write(self.sequences, self.context)

    def share(self, sequences: int) -> None:
        self.network.share(sequences)

    def decode(self, entries: Sequence[Entry]) -> Floats:
        tokens, _, texts, wanted = (np.array(column, np.int32) for column in zip(*entries, strict=True))
        return self.network.extend(tokens, texts, np.flatnonzero(wanted).astype(np.int32))
