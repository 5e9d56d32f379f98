"""Modelfile: how Ollama is told to ask a model just as llama.cpp asks it.

Owns the text of a Modelfile, and turning a chat template from Jinja into Go's language. Leaves the template itself to
`engine`, files to `export`. Must stay true: a template is only written where it makes of a whole chat, character for
character, what the model's own does; where none can be found Ollama is left to choose, and that is told.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from edgesleep.engine import Engine
from edgesleep.errors import EdgesleepError
from edgesleep.records import Message

# Texts that no template writes; by them it is seen what it puts around each.
_SYSTEM, _USER, _ANSWER, _AGAIN = "\ue000s\ue001", "\ue000u\ue001", "\ue000a\ue001", "\ue000v\ue001"


@dataclass(frozen=True)
class Chat:
    """What a template writes before and after the text of each role, before an answer, and once to `begin` with.

    `system` is None where what the system says begins the user's own turn, up to `joint`. `default` is what the system
    says where nobody says anything.
    """

    user: tuple[str, str]
    assistant: tuple[str, str]
    reply: str
    system: tuple[str, str] | None = None
    joint: str = ""
    default: str = ""
    begin: str = ""

    def write(self, messages: Sequence[Message]) -> str:
        """A chat up to where the answer begins, as `go` writes it."""
        said, is_open = self.begin, False
        for message in messages:
            before, after = (
                {"user": self.user, "assistant": self.assistant}.get(message.role) or self.system or ("", "")
            )
            if message.role == "system" and self.system is None:
                before, after = self.user[0], self.joint
            elif message.role == "user" and is_open:
                before = ""
            is_open = message.role == "system" and self.system is None
            said += before + message.content + after
        return said + self.reply

    def go(self) -> str:
        """The template in Go's language, as Ollama fills it in."""

        def around(texts: tuple[str, str]) -> str:
            return f"{texts[0]}{{{{ .Content }}}}{texts[1]}"

        if self.system:
            begin, system, user = self.begin, around(self.system), around(self.user)
        else:
            begin = f"{self.begin}{{{{ $open := false }}}}"
            system = around((self.user[0], self.joint)) + "{{ $open = true }}"
            user = f"{{{{ if not $open }}}}{self.user[0]}{{{{ end }}}}" + around(("", self.user[1]))
            user += "{{ $open = false }}"
        return (
            f'{begin}{{{{ range .Messages }}}}{{{{ if eq .Role "system" }}}}{system}'
            f'{{{{ else if eq .Role "user" }}}}{user}'
            f'{{{{ else if eq .Role "assistant" }}}}{around(self.assistant)}{{{{ end }}}}{{{{ end }}}}{self.reply}'
        )


def chat_of(engine: Engine) -> Chat | None:
    """What a model's template writes around the texts of a chat; None where Go's language cannot be made to say it."""

    bos, is_put = engine.bos

    def written(*messages: Message, reply: bool = False) -> str:
        return engine.written(messages, reply=reply).removeprefix(bos)

    try:
        begins = not is_put and engine.written(_chat()[1:2], reply=True).startswith(bos)  # or it would come twice
        chat = replace(_parted(written), begin=bos if begins else "")
    except (EdgesleepError, ValueError):  # it refuses such a chat, or writes it in another way
        return None
    system, user, answer, again = _chat()
    fits = chat.write([system, user, answer, again]) == chat.begin + written(system, user, answer, again, reply=True)
    told = [Message("system", chat.default)] if chat.default else []
    fits &= chat.write([*told, user]) == chat.begin + written(user, reply=True)
    texts = [*chat.user, *chat.assistant, *(chat.system or ()), chat.reply, chat.joint, chat.default]
    return chat if fits and not any(mark in text for text in texts for mark in ("{{", '"""')) else None


def _chat() -> tuple[Message, Message, Message, Message]:
    return Message("system", _SYSTEM), Message("user", _USER), Message("assistant", _ANSWER), Message("user", _AGAIN)


def _parted(written: Callable[..., str]) -> Chat:
    """Raises ValueError where a part is not where it is looked for."""
    system, user, answer, again = _chat()
    head, after_user = written(user).split(_USER)
    reply = _after(written(user, reply=True), head + _USER + after_user)
    before_answer, after_answer = _after(written(user, answer), head + _USER + after_user).split(_ANSWER)
    begin, _ = written(user, answer, again).split(_AGAIN)
    before_user = _after(begin, head + _USER + after_user + before_answer + _ANSWER + after_answer)
    default = _before(head, before_user)
    parts = (before_user, after_user), (before_answer, after_answer), reply
    before_system, joint = _before(written(system, user), _USER + after_user).split(_SYSTEM)
    if not joint.endswith(before_user):
        return Chat(*parts, joint=joint)
    told = (before_system, _before(joint, before_user))
    return Chat(*parts, system=told, default=_before(_after(default, told[0]), told[1]) if default else "")


def _after(text: str, start: str) -> str:
    if not text.startswith(start):
        raise ValueError(text)
    return text[len(start) :]


def _before(text: str, end: str) -> str:
    if not text.endswith(end):
        raise ValueError(text)
    return text[: len(text) - len(end)]


def modelfile(about: str, model: str, chat: Chat | None, context: int) -> str:
    """The text of a Modelfile for the file `model` beside it; `context` is in tokens.

    Temperature 0, as that is how every generation was tested.
    """
    lines = [f"# {about}", f"FROM ./{model}"]
    if chat:
        lines.append(f'TEMPLATE """{chat.go()}"""')
        lines += [f'SYSTEM """{chat.default}"""'] if chat.default else []
        end = chat.assistant[1].strip()
        lines += [f'PARAMETER stop "{end}"'] if end and '"' not in end else []
    return "\n".join([*lines, "PARAMETER temperature 0", f"PARAMETER num_ctx {context}", ""])
