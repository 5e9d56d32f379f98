# Types of the extension module that native/binding.cpp builds; edgesleep/kernel.py and network.py call it.
# Functions return an error code of native/edgesleep.h; 0 is success.
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]

FORCED: int
DAMAGED: tuple[int, ...]

class Matrix:
    def __init__(self, type: int, rows: int, cols: int, data: npt.NDArray[np.uint8], seed: int) -> None: ...

class Adapter:
    def __init__(self, rank: int, scale: float, a: Floats, b: Floats) -> None: ...

def message(error: int) -> str: ...
def block(type: int) -> tuple[int, int]: ...
def kernels() -> list[tuple[str, bool]]: ...
def selected() -> str | None: ...
def select(name: str) -> int: ...
def set_threads(threads: int) -> None: ...
def dequantize(w: Matrix, row0: int, row1: int, out: Floats) -> int: ...
def gather(w: Matrix, ids: npt.NDArray[np.int64], out: Floats) -> int: ...
def effective(w: Matrix, delta: Adapter | None, row0: int, row1: int, out: Floats) -> int: ...
def effective_bf16(w: Matrix, delta: Adapter | None, row0: int, row1: int, out: npt.NDArray[np.uint16]) -> int: ...
def merge(
    w: Matrix, delta: Adapter | None, row0: int, row1: int, out: npt.NDArray[np.uint8]
) -> tuple[int, int, int, int, float, float]: ...
def linear(w: Matrix, delta: Adapter | None, exact: bool, x: Floats, n: int, y: Floats) -> int: ...
def linear_grad(w: Matrix, delta: Adapter | None, exact: bool, dy: Floats, n: int, dx: Floats) -> int: ...
def adam(
    value: Floats, gradient: Floats, first: Floats, second: Floats,
    step: int, rate: float, beta1: float, beta2: float, epsilon: float, clip: float,
) -> int: ...  # fmt: skip

class Shape:
    width: int
    heads: int
    kv_heads: int
    head_width: int
    turned: int
    halves: bool
    gelu: bool
    window: int
    local_every: int
    epsilon: float
    attention_scale: float
    embedding_scale: float

class Layer:
    def __init__(
        self, matrices: Sequence[Matrix], biases: Sequence[Floats | None], norms: Sequence[Floats | None]
    ) -> None: ...

class Trained:
    def __init__(self, adapter: Adapter, a_gradient: Floats, b_gradient: Floats) -> None: ...

class Network:
    error: int
    def __init__(
        self, shape: Shape, turns: npt.NDArray[np.float64], local_turns: npt.NDArray[np.float64],
        layers: Sequence[Layer], embedding: Matrix, head: Matrix, norm: Floats, exact: bool,
    ) -> None: ...  # fmt: skip
    def attach(self, trained: Sequence[Trained], copy: bool, remember: bool) -> int: ...
    def round(self, first: int, last: int) -> int: ...
    def learn(
        self, tokens: Ints, starts: Ints, shared: int, places: Ints, ids: Ints, probs: Floats, scale: float,
        losses: Floats,
    ) -> int: ...  # fmt: skip
    def top(
        self, tokens: Ints, starts: Ints, shared: int, places: Ints, listed: int, ids: Ints, probs: Floats
    ) -> int: ...
    def logits(self, tokens: Ints, starts: Ints, shared: int, logits: Floats) -> int: ...
    def write(self, texts: int, room: int) -> int: ...
    def extend(self, tokens: Ints, texts: Ints, places: Ints, logits: Floats) -> int: ...
    def share(self, texts: int) -> int: ...
