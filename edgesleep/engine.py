"""llama.cpp: the one place that serves, asks and scores a GGUF.

Owns loading, tokenizing (chat templates included), batched generation and
token losses of the exact bytes in a file. Leaves what to ask, and what the
answers mean, to the stages. Invariant: text that a person wrote never becomes
a control token; only the model's own template may write those.
"""

from __future__ import annotations

import codecs
import ctypes
import os
import re
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import llama_cpp
import numpy as np
from llama_cpp.llama_chat_format import Jinja2ChatFormatter
from numpy.typing import NDArray

from edgesleep import machine, sampling
from edgesleep.errors import EdgesleepError, shown
from edgesleep.model import Tokens, common
from edgesleep.records import Message
from edgesleep.sampling import Entry

VERSION: str = llama_cpp.__version__  # of the bindings, and with them of llama.cpp: another one may answer otherwise

Floats = NDArray[np.float32]

# A file without a chat template is asked in the one whose turn marker its vocabulary has.
_FALLBACKS = {
    "<start_of_turn>": (
        "{{ bos_token }}{% for m in messages %}<start_of_turn>"
        "{{ 'model' if m['role'] == 'assistant' else m['role'] }}\n{{ m['content'] }}<end_of_turn>\n{% endfor %}"
        "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
    ),
    "<|im_start|>": (
        "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    ),
    "": (
        "{% for m in messages %}{{ m['role'] | capitalize }}: {{ m['content'] }}"
        "{{ eos_token if m['role'] == 'assistant' else '\n' }}{% endfor %}"
        "{% if add_generation_prompt %}Assistant:{% endif %}"
    ),
}
_SLOT = re.compile("\ue000(\\d{1,9})\ue001")  # stands for a message's text while the template is rendered


# Where it gives up, ggml starts a debugger on this process: that prints what is being read, takes minutes, and where
# memory is short leaves an image of itself in the working directory.
os.environ.setdefault("GGML_NO_BACKTRACE", "1")

# llama.cpp's log is not for users; failures are raised from return values.
_SILENCE = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)(lambda level, text, user: None)


class Engine:
    """One model file, loaded. Use it as a context manager.

    `adapter` is a LoRA GGUF applied on top. `sequences` answers are written
    side by side, each within `context` tokens. Raises EdgesleepError when
    llama.cpp cannot load the file.
    """

    def __init__(
        self,
        path: Path,
        *,
        adapter: Path | None = None,
        threads: int = 0,
        context: int = 512,
        sequences: int = 1,
        vocab_only: bool = False,
    ) -> None:
        llama_cpp.llama_log_set(_SILENCE, ctypes.c_void_p())
        llama_cpp.llama_backend_init()
        self.path, self.context, self.sequences = path, context, sequences
        self._context: Any = None
        self._held: list[int] = []  # what text 0 is, where `stream` has left it
        self._model = self._load(vocab_only)
        self._vocab = llama_cpp.llama_model_get_vocab(self._model)
        self.vocab_size: int = llama_cpp.llama_vocab_n_tokens(self._vocab)
        self._formatter = self._template()
        if not vocab_only:
            self._context = self._start(machine.threads(threads))
            self._memory = llama_cpp.llama_get_memory(self._context)
            if adapter is not None:
                self._apply(adapter)

    def __enter__(self) -> Engine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        if self._context:
            llama_cpp.llama_free(self._context)
        if self._model:
            llama_cpp.llama_model_free(self._model)
        self._context = self._model = None

    # Loading

    def _load(self, vocab_only: bool) -> Any:
        params = llama_cpp.llama_model_default_params()
        params.vocab_only = vocab_only
        params.n_gpu_layers = 0
        # llama.cpp's AMX buffers crash on Sapphire Rapids and later (ggml-org/llama.cpp issue 20824).
        params.use_extra_bufts = not machine.has_amx()
        model = llama_cpp.llama_model_load_from_file(os.fsencode(self.path), params)
        if not model:
            raise EdgesleepError(
                f"llama.cpp cannot load {self.path}.",
                "Check that the file is a complete GGUF and that enough memory is free.",
            )
        return model

    def _start(self, threads: int) -> Any:
        params = llama_cpp.llama_context_default_params()
        params.n_ctx = self.context * self.sequences
        params.n_seq_max = self.sequences
        params.n_batch = params.n_ubatch = min(512, self._batch_limit(), params.n_ctx)
        params.n_threads = params.n_threads_batch = threads
        context = llama_cpp.llama_init_from_model(self._model, params)
        if not context:
            raise EdgesleepError(
                f"llama.cpp has no memory for a context of {params.n_ctx} tokens on {self.path.name}.",
                "Close other programs.",
            )
        self.batch = int(params.n_batch)
        return context

    def _batch_limit(self) -> int:
        """Logits of one batch stay near 16 MiB: llama.cpp holds them twice. Below 32 tokens batches get slow."""
        return max(32, (16 << 20) // (4 * self.vocab_size))

    def _apply(self, adapter: Path) -> None:
        handle = llama_cpp.llama_adapter_lora_init(self._model, os.fsencode(adapter))
        if not handle:
            raise EdgesleepError(
                f"llama.cpp refuses the adapter {adapter.name} on {self.path.name}.",
                "It belongs to another model, or the file is damaged.",
            )
        handles = (llama_cpp.llama_adapter_lora_p_ctypes * 1)(handle)
        llama_cpp.llama_set_adapters_lora(self._context, handles, 1, (ctypes.c_float * 1)(1.0))

    def _template(self) -> Jinja2ChatFormatter:
        raw = llama_cpp.llama_model_chat_template(self._model, None)
        if raw:
            template = raw.decode(errors="replace")
        else:
            single = (marker for marker in _FALLBACKS if len(self.tokenize(marker, control=True)) <= 1)
            template = _FALLBACKS[next(single)]
        bos, eos = llama_cpp.llama_vocab_bos(self._vocab), llama_cpp.llama_vocab_eos(self._vocab)
        try:
            return Jinja2ChatFormatter(template=template, bos_token=self._name(bos), eos_token=self._name(eos))
        except Exception as error:  # whatever Jinja finds wrong with a template
            raise EdgesleepError(
                f"The chat template of {self.path.name} is broken: {error}.", "Use the model as it was published."
            ) from error

    def _name(self, token: int) -> str:
        """A control token as the template spells it; empty where the model has none."""
        return (
            (llama_cpp.llama_vocab_get_text(self._vocab, token) or b"").decode(errors="replace") if token >= 0 else ""
        )

    # Text and tokens

    def tokenize(self, text: str, *, begin: bool = False, control: bool = False) -> list[int]:
        """Token ids of `text`; `begin` adds what the model wants at the start, `control` lets control tokens be."""
        tokens = self._tokens(text, begin, control)
        markers = set() if control else {token for token in set(tokens) if self._is_marker(token)}
        if begin and markers:
            markers -= set(self._tokens("", True, False))
        if not markers:
            return tokens
        # Cut within their names, the text gives none of them and stays what it is.
        names = [self._name(token) for token in markers]
        cuts = "|".join(f"(?<={re.escape(name[:1])})(?={re.escape(name[1:])})" for name in names)
        first, *others = re.split(cuts, text)
        if not others or first == text:
            raise EdgesleepError(f"A text holds {shown(names[0])}, which begins or ends a turn.", "Leave it out.")
        after = [token for piece in others for token in self.tokenize(piece)]
        return self.tokenize(first, begin=begin) + after

    def _is_marker(self, token: int) -> bool:
        """Whether the token is the template's alone to write, also where the file calls its markers ordinary words."""
        kind = llama_cpp.llama_vocab_get_attr(self._vocab, token)
        if kind & llama_cpp.LLAMA_TOKEN_ATTR_CONTROL or self.ends(token):
            return True
        name = self._name(token).strip() if kind & llama_cpp.LLAMA_TOKEN_ATTR_USER_DEFINED else ""
        return bool(name) and name in self._formatter.template

    def _tokens(self, text: str, begin: bool, control: bool) -> list[int]:
        data = text.encode(errors="replace")  # what the terminal could not decode comes as lone surrogates
        room = len(data) + 8
        buffer = (llama_cpp.llama_token * room)()
        count = llama_cpp.llama_tokenize(self._vocab, data, len(data), buffer, room, begin, control)
        if count < 0:
            raise EdgesleepError("A text could not be tokenized.", "Report the text if it is not private.")
        return list(buffer[:count])

    def text(self, tokens: Sequence[int]) -> str:
        """The tokens as text, control tokens left out."""
        return self._bytes(tokens).decode(errors="replace")

    def _bytes(self, tokens: Sequence[int]) -> bytes:
        ids = (llama_cpp.llama_token * len(tokens))(*tokens)
        room = 16 * len(tokens) + 64
        while True:
            buffer = ctypes.create_string_buffer(room)
            size = llama_cpp.llama_detokenize(self._vocab, ids, len(tokens), buffer, room, True, False)
            if size >= 0:
                return buffer.raw[:size]
            room = -size

    def ends(self, token: int) -> bool:
        """Whether the token ends a turn."""
        return bool(llama_cpp.llama_vocab_is_eog(self._vocab, token))

    def controls(self, token: int) -> bool:
        """Whether the token is one of those that only a template may write."""
        return bool(llama_cpp.llama_vocab_is_control(self._vocab, token))

    def opening(self) -> list[int]:
        """The tokens before a user's first words in the chat template."""
        return self._begin(self._render([Message("user", "")], reply=False, until=0))

    def chat(self, messages: Sequence[Message]) -> list[int]:
        """The prompt up to where the assistant's answer begins, in the model's own template."""
        return self._begin(self._render(messages, reply=True))

    def exchange(self, messages: Sequence[Message], answer: str) -> tuple[list[int], int]:
        """A chat with its answer and the token that ends the turn; the second value is where the answer begins."""
        prompt = self.chat(messages)
        whole = [*messages, Message("assistant", answer)]
        closing: list[int] = []
        for token in self._render(whole, reply=False, since=len(messages)):
            closing.append(token)
            if self.ends(token):
                break
        return prompt + closing, len(prompt)

    def written(self, messages: Sequence[Message], *, reply: bool) -> str:
        """A chat as the template writes it, up to the answer where there is to be one; to be shown, not tokenized."""
        self._formatter.add_generation_prompt = reply
        try:
            return str(self._formatter(messages=[vars(m) for m in messages]).prompt)  # type: ignore[misc]
        except Exception as error:
            raise EdgesleepError(
                f"The chat template of {self.path.name} refuses this chat: {error}.",
                "Start the chat with a user message and let the roles take turns.",
            ) from error

    @property
    def bos(self) -> tuple[str, bool]:
        """The token that begins a text as a template spells it ("" for none), and whether llama.cpp puts it itself."""
        name = self._name(llama_cpp.llama_vocab_bos(self._vocab))
        return name, bool(llama_cpp.llama_vocab_get_add_bos(self._vocab))

    def _render(
        self, messages: Sequence[Message], *, reply: bool, since: int | None = None, until: int | None = None
    ) -> list[int]:
        """Template and texts tokenized apart, so that "<|im_end|>" in a text stays text.

        `since` starts with that message's text, `until` stops before it.
        """
        slots = [Message(m.role, f"\ue000{i}\ue001") for i, m in enumerate(messages)]
        rendered = self.written(slots, reply=reply)
        tokens: list[int] = []
        wanted = since is None
        for place, piece in enumerate(_SLOT.split(rendered)):
            if place % 2 == 0:
                text = piece
            elif int(piece) >= len(messages):
                raise EdgesleepError(f"The chat template of {self.path.name} is broken.", "Use the model as published.")
            elif int(piece) == until:
                break
            else:
                wanted = wanted or int(piece) == since
                text = messages[int(piece)].content.strip()
            if wanted and text:
                tokens += self.tokenize(text, control=place % 2 == 0)
        return tokens

    def _begin(self, tokens: list[int]) -> list[int]:
        bos = llama_cpp.llama_vocab_bos(self._vocab)
        if llama_cpp.llama_vocab_get_add_bos(self._vocab) and tokens[:1] != [bos]:
            return [bos, *tokens]
        return tokens

    # Running the model

    def logits(self, tokens: Sequence[int]) -> Iterator[Floats]:
        """Next-token logits for each position, [<= batch, vocab] at a time. Views: copy what is kept."""
        self.clear()
        for start in range(0, len(tokens), self.batch):
            part = tokens[start : start + self.batch]
            yield self.decode([(token, start + i, 0, True) for i, token in enumerate(part)])

    def losses(self, tokens: Sequence[int]) -> Floats:
        """-log p(tokens[i+1] | tokens[..i]) in nats, [len(tokens) - 1]."""
        tokens = list(tokens)[: self.context]
        found: list[Floats] = []
        start = 0
        for logits in self.logits(tokens):
            targets = tokens[start + 1 : start + 1 + len(logits)]
            found.append(_losses(logits[: len(targets)], targets))
            start += len(logits)
        return np.concatenate(found)

    def costs(self, prompt: Tokens, options: Sequence[Tokens]) -> list[float]:
        """-log p of each option after the prompt, in nats; at most `sequences` options of at least a token each."""
        self.clear()
        for start in range(0, len(prompt), self.batch):
            part = prompt[start : start + self.batch]
            rows = self.decode([(token, start + i, 0, start + i == len(prompt) - 1) for i, token in enumerate(part)])
        costs = [float(_losses(rows, option[:1]).sum()) for option in options]
        self.share(len(options))
        pairs = [
            (seq, (token, len(prompt) + i, seq, True), option[i + 1])
            for seq, option in enumerate(options)
            for i, token in enumerate(option[:-1])
        ]
        for start in range(0, len(pairs), self.batch):
            some = pairs[start : start + self.batch]
            losses = _losses(self.decode([entry for _, entry, _ in some]), [target for *_, target in some])
            for (seq, *_), loss in zip(some, losses, strict=True):
                costs[seq] += float(loss)
        return costs

    def complete(
        self,
        prompts: Sequence[Tokens],
        limit: int,
        *,
        temperature: float = 0.0,
        seed: int = 0,
        grammars: Sequence[str] = (),
    ) -> list[list[int]]:
        """Continue each prompt by at most `limit` tokens, until it ends its turn (that token is left out).

        Greedy at temperature 0; see `sampling.complete`. Where `grammars` are given, one for each prompt in GBNF, each
        answer is the likeliest that its own allows. Raises EdgesleepError when the answer alone fills the context.
        """
        if limit >= self.context:
            raise EdgesleepError(
                f"An answer of {limit} tokens leaves no room for a question in a context of {self.context}.",
                "Lower gate.answer_tokens and gate.turn_tokens in config.toml.",
            )
        guides = [_Grammar(self._vocab, grammar) for grammar in grammars]
        return sampling.complete(self, prompts, limit, temperature, seed, guides)

    def stream(
        self, prompt: Tokens, limit: int, *, temperature: float = 0.0, seed: int = 0
    ) -> Generator[str, None, bool]:
        """The answer to a prompt in pieces of whole characters, as it is written; returns whether it ended its turn.

        At most `limit` tokens, and what the context has room for. What the prompt has in common with the text before
        it is not read again. While it is read, empty pieces come, so that it can be left at any time. Raises
        EdgesleepError where the prompt alone fills the context.
        """
        room = min(limit, self.context - len(prompt))
        if room < 1:
            raise EdgesleepError(
                f"The prompt has {len(prompt):,} tokens, and the context is {self.context:,}.", "Ask about less."
            )
        rows = yield from self._read(prompt)
        chances = np.random.default_rng(seed).random((room, 1))
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        answer: list[int] = []
        said, ended = b"", False
        while not ended and len(answer) < room:
            (token,) = sampling.draw(rows, temperature, chances[len(answer)])
            ended = self.ends(token)
            if not ended:
                answer.append(token)
                before, said = len(said), self._bytes(answer)
                yield decoder.decode(said[before:])
                if len(answer) < room:
                    rows = self._extend([token])
        yield decoder.decode(b"", True)
        return ended

    def _read(self, prompt: Tokens) -> Generator[str, None, Floats]:
        """Have text 0 be the prompt; the logits after it."""
        shared = common([list(prompt), self._held])
        if not shared or not self.cut(0, shared):
            self.clear()  # also where a model's memory cannot be cut
            shared = 0
        del self._held[shared:]
        for start in range(shared, len(prompt), self.batch):
            yield ""
            rows = self._extend(prompt[start : start + self.batch])
        return rows

    def _extend(self, tokens: Tokens) -> Floats:
        """Add to text 0; the logits after its last token."""
        first, last = len(self._held), len(tokens) - 1
        entries = [(token, first + i, 0, i == last) for i, token in enumerate(tokens)]
        rows = self.decode(entries)
        self._held += tokens
        return rows

    def clear(self) -> None:
        """Forget all texts."""
        self._held = []
        llama_cpp.llama_memory_clear(self._memory, True)

    def share(self, sequences: int) -> None:
        """The first `sequences` texts become what text 0 is."""
        for seq in range(1, sequences):
            llama_cpp.llama_memory_seq_cp(self._memory, 0, seq, -1, -1)

    def cut(self, sequence: int, length: int) -> bool:
        """Have a text end after `length` tokens; whether the memory of this model can be cut there (at 0 it can)."""
        return bool(llama_cpp.llama_memory_seq_rm(self._memory, sequence, length, -1))

    def decode(self, entries: Sequence[Entry]) -> Floats:
        """Add tokens to their texts; the wanted logits in order, a view that the next call overwrites."""
        batch = llama_cpp.llama_batch_init(len(entries), 0, 1)
        try:
            batch.n_tokens = len(entries)
            for i, (token, position, seq, wanted) in enumerate(entries):
                batch.token[i], batch.pos[i] = token, position
                batch.n_seq_id[i], batch.seq_id[i][0] = 1, seq
                batch.logits[i] = wanted
            status = llama_cpp.llama_decode(self._context, batch)
        finally:
            llama_cpp.llama_batch_free(batch)
        if status != 0:
            raise EdgesleepError(
                f"llama.cpp could not evaluate {len(entries)} tokens of {self.path.name} (status {status}).",
                "The text is longer than the context, or memory ran out.",
            )
        count = sum(entry[3] for entry in entries)
        if count == 0:
            return np.empty((0, self.vocab_size), np.float32)
        raw = llama_cpp.llama_get_logits(self._context)
        return np.ctypeslib.as_array(raw, shape=(count, self.vocab_size))


def _losses(rows: Floats, targets: Tokens) -> Floats:
    """-log p of each target by its row of logits, in nats."""
    top = rows.max(axis=1)
    norm = np.log([np.exp(row - highest).sum() for row, highest in zip(rows, top, strict=True)]) + top
    losses: Floats = norm - rows[np.arange(len(targets)), list(targets)]
    return losses


_CANDIDATE = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])  # llama_token_data
_LIKELIEST = 32  # tokens that are tried before the whole vocabulary, which takes far longer


class _Grammar:
    """Greedy choice among the tokens that a GBNF grammar allows after those chosen so far; of one text."""

    def __init__(self, vocab: Any, rules: str) -> None:
        self._vocab = vocab
        self._sampler = llama_cpp.llama_sampler_init_grammar(vocab, rules.encode(errors="replace"), b"root")
        if not self._sampler:
            raise EdgesleepError("llama.cpp cannot read a grammar.", "Report the bug.")

    def __del__(self) -> None:
        if self._sampler:
            llama_cpp.llama_sampler_free(self._sampler)

    def choose(self, logits: Floats) -> int:
        """The likeliest token that is allowed; the end of the turn where none is."""
        token = self._best(np.atleast_1d(logits.argmax()), logits)
        if token is None:
            token = self._best(np.argpartition(logits, -_LIKELIEST)[-_LIKELIEST:], logits)
        if token is None:
            token = self._best(np.arange(len(logits)), logits)
        if token is None or llama_cpp.llama_vocab_is_eog(self._vocab, token):
            return int(llama_cpp.llama_vocab_eos(self._vocab)) if token is None else token
        llama_cpp.llama_sampler_accept(self._sampler, token)
        return token

    def _best(self, ids: NDArray[np.intp], logits: Floats) -> int | None:
        tokens = np.zeros(len(ids), _CANDIDATE)
        tokens["id"], tokens["logit"] = ids, logits[ids]
        data = tokens.ctypes.data_as(ctypes.POINTER(llama_cpp.llama_token_data))
        listed = llama_cpp.llama_token_data_array(data=data, size=len(ids), selected=-1, sorted=False)
        llama_cpp.llama_sampler_apply(self._sampler, ctypes.byref(listed))
        best = int(tokens["logit"].argmax())
        return int(tokens["id"][best]) if np.isfinite(tokens["logit"][best]) else None
