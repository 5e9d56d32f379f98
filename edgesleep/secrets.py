"""Secrets: what in a text must not be learned, and what of that may not even be written down.

Owns the kinds of secrets and how each is recognised: formats of providers by detect-secrets, checksums by stdnum,
and by words what someone tells in a chat; and that one which its owner approved is withheld no more. Leaves to the
caller what becomes of a find. Must stay true: what is not
`storable` is unmistakable by its form alone, since `redact` takes it out of the user's own words for good; nothing
here asks the network, so no plugin's `verify` is called, only its patterns are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from datetime import date
from functools import cache
from itertools import chain
from typing import Any


@dataclass(frozen=True)
class Secret:
    """A secret at text[start:end]. One that is `storable` may be written to the journal, but no night may learn it."""

    kind: str
    start: int
    end: int
    storable: bool


def find(text: str) -> tuple[Secret, ...]:
    """All secrets of a text by their beginning; one may lie within another.

    A secret told in words is the whole sentence: which of its words is the secret no pattern can say.
    """
    unstorable = ((form.kind, span, False) for form in _forms() for span in form.spans(text))
    storable = ((kind, span, True) for kind, spans in _STORABLE for span in spans(text))
    found = (Secret(kind, *span, flag) for kind, span, flag in chain(unstorable, storable))
    return tuple(sorted(found, key=lambda secret: (secret.start, secret.end)))


_APPROVED = ContextVar("_APPROVED", default=False)
_LAYERS = 8  # secrets that stand against each other
COVER = "****"  # in the place of a secret that was approved, where it may be seen
MENTIONED = "mentioned"  # the kind of a sentence that speaks of a secret and may tell it


@contextmanager
def approved() -> Iterator[None]:
    """Within it nothing is withheld: what is read there was approved by its owner."""
    token = _APPROVED.set(True)
    try:
        yield
    finally:
        _APPROVED.reset(token)


def withheld(text: str) -> tuple[Secret, ...]:
    """What a reader has to leave out of a text, in order and apart: secrets, and whole sentences that speak of one."""
    found: list[Secret] = []
    hits = [] if _APPROVED.get() else [*_mentions(text), *find(text)]
    for hit in sorted(hits, key=lambda secret: (secret.start, secret.end)):
        if found and hit.start < found[-1].end:
            last = found.pop()
            kind = hit.kind if last.kind == MENTIONED else last.kind
            hit = replace(last, kind=kind, end=max(last.end, hit.end), storable=last.storable and hit.storable)
        found.append(hit)
    return tuple(found)


def redact(text: str) -> str:
    """`text` without what must never reach the disk: private and API keys, passwords in URLs, payment card numbers."""
    for _ in range(_LAYERS):  # a number that stood against a key stands alone once that is gone
        before = text
        for form in _forms():
            # In one go: cut out one by one, the tens of thousands that a message can hold are minutes of copying.
            ends = [0, *chain(*form.spans(text)), len(text)]
            text = f"[redacted: {form.kind}]".join(text[a:b] for a, b in zip(ends[::2], ends[1::2], strict=True))
        if text == before:
            return text
    return "[redacted: secrets]"  # nobody writes what still uncovers more, and a megabyte of it would take hours


def covered(part: Any, values: Iterable[str]) -> Any:
    """Text, or records as plain values, with COVER wherever one of `values` stands; ids and times stay."""
    found = sorted(filter(None, values), key=len, reverse=True)
    if not found:
        return part
    return _covered(part, re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, found))})(?!\w)", re.IGNORECASE))


def _covered(part: Any, secret: re.Pattern[str]) -> Any:
    if isinstance(part, str):
        return secret.sub(COVER, part)
    if isinstance(part, dict):
        return {key: value if key in ("id", "at") else _covered(value, secret) for key, value in part.items()}
    return [_covered(value, secret) for value in part] if isinstance(part, list | tuple) else part


# -- by form alone ---------------------------------------------------------------------------------------------------

Span = tuple[int, int]


@dataclass(frozen=True)
class _Form:
    kind: str
    pattern: re.Pattern[str]
    valid: Callable[[str], bool] = bool
    group: int = 0  # the part that is the secret

    def spans(self, text: str) -> Iterator[Span]:
        return (found.span(self.group) for found in self.pattern.finditer(text) if self.valid(found[self.group]))


_BLOCK = re.compile(
    r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY(?: BLOCK)?-----.*?(?:-----END [A-Z ]{0,30}PRIVATE KEY(?: BLOCK)?-----|\Z)",
    re.DOTALL,
)
# What detect-secrets lacks, or takes only in one exact length.
_KEY = re.compile(
    r"\b(?:sk-[\w-]{20,}|[sr]k_live_\w{16,}|gh[opsur]_\w{30,}|github_pat_\w{30,}|glpat-[\w-]{20,}|hf_\w{30,}"
    r"|npm_\w{36}|xox[abeprs]-[\w-]{10,}|AKIA[0-9A-Z]{16}|AIza[\w-]{35}|(?<![\w-])eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]*)",
    re.ASCII,
)
# 13 to 19 digits that stand alone; the first digit keeps times in milliseconds (1...) out.
_CARD = re.compile(r"(?<![\d+])(?<!\d[ -])[2-6](?:[ -]?\d){12,18}(?![ -]?\d)", re.ASCII)


@cache
def _forms() -> tuple[_Form, ...]:
    """What must never reach the disk. Order matters: a block is taken before its lines."""
    # Imported late: a tenth of a second, which a command that writes nothing shall not pay.
    from detect_secrets.plugins import (
        aws,
        azure_storage_key,
        basic_auth,
        discord,
        gitlab_token,
        mailchimp,
        pypi_token,
        sendgrid,
        slack,
        square_oauth,
        telegram_token,
        twilio,
    )
    from stdnum import luhn

    keys = (
        aws.AWSKeyDetector,
        azure_storage_key.AzureStorageKeyDetector,
        discord.DiscordBotTokenDetector,
        gitlab_token.GitLabTokenDetector,
        mailchimp.MailchimpDetector,
        pypi_token.PypiTokenDetector,
        sendgrid.SendGridDetector,
        slack.SlackDetector,
        square_oauth.SquareOAuthDetector,
        telegram_token.TelegramBotTokenDetector,
        twilio.TwilioKeyDetector,
    )
    return (
        _Form("private key", _BLOCK),
        _Form("api key", _KEY),
        *(_Form("api key", pattern) for plugin in keys for pattern in plugin.denylist),
        *(_Form("password", pattern, group=1) for pattern in basic_auth.BasicAuthDetector.denylist),
        _Form("card number", _CARD, lambda number: luhn.is_valid(re.sub("[ -]", "", number))),
    )


# -- storable: by checksum or by look --------------------------------------------------------------------------------

_IBAN = re.compile(r"\b[A-Z]{2}\d\d(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b", re.ASCII)
_SSN = re.compile(r"(?<![\w-])\d{3}-\d\d-\d{4}(?![\w-])", re.ASCII)
_NUMBER = re.compile(r"(?<![\w.,])\d{7,}(?!\w|[.,]\d)", re.ASCII)
_RUN = re.compile(r"(?<![A-Za-z0-9])(?=\d*[A-Za-z])(?=[A-Za-z]*\d)[A-Za-z0-9]{16,}(?![A-Za-z0-9])")
_DIGEST = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")  # SHA-1 and SHA-256 as git and others write them


def _accounts(text: str) -> Iterator[Span]:
    from stdnum import iban

    for found in _IBAN.finditer(text):
        number = found[0]
        while number and not iban.is_valid(number):
            number = number.rpartition(" ")[0]  # a word in capitals after it
        if number:
            yield found.start(), found.start() + len(number)


def _social_security(text: str) -> Iterator[Span]:
    from stdnum.us import ssn

    return (found.span() for found in _SSN.finditer(text) if ssn.is_valid(found[0]))


def _numbers(text: str) -> Iterator[Span]:
    return (found.span() for found in _NUMBER.finditer(text) if not _is_round(found[0]) and not _is_day(found[0]))


def _is_round(number: str) -> bool:
    return number.endswith("000")


def _is_day(number: str) -> bool:
    try:
        return len(number) == 8 and 1900 <= date(int(number[:4]), int(number[4:6]), int(number[6:])).year < 2100
    except ValueError:
        return False


def _random(text: str) -> Iterator[Span]:
    """Letters and digits in turn without sense. The name of a model or a file has its digits in one place or two."""
    from detect_secrets.plugins.high_entropy_strings import Base64HighEntropyString

    entropy = Base64HighEntropyString().calculate_shannon_entropy
    for found in _RUN.finditer(text):
        run = found[0]
        if len(re.findall(r"\d+", run)) >= 3 and entropy(run) >= 3 and not _DIGEST.fullmatch(run):
            yield found.span()


# -- storable: told in words -----------------------------------------------------------------------------------------

_SENTENCE = re.compile(r"[^\s.!?…](?:[^\n.!?…]|[.!?…]+(?=[^\s.!?…]))*")
_OWN = r"(?:my|our|his|her|their|your)"
_ADDED = r"(?:[\w'-]+ )"
_LOCK = (
    "(?:access|alarm|bike|building|card|door|entrance|entry|flat|garage|gate|house|keypad|lock|lockbox|locker|office|phone"
    "|safe|security|shed|sim|suitcase|tablet|unlock|voicemail|wi-?fi)"
)
_SECRET = (  # whatever it stands beside
    r"(?:pass(?:word|phrase|code)s?|credentials|cvv|iban|ssn|(?:seed|recovery|backup) (?:phrase|words?|codes?|keys?)"
    r"|(?:api|access|secret|private|encryption|licen[cs]e|product|network|wi-?fi) keys?|(?:client|app) secret|sort code"
    rf"|{_LOCK} (?:codes?|combinations?|pins?)|(?:secret|verification|one-time|2fa) (?:codes?|pins?|words?)"
    rf"|(?:code|combination|pin) (?:to|for|of|on) (?:(?:the|{_OWN}) )?{_ADDED}{{0,2}}{_LOCK}"
    r"|(?:account|card|health|id|identity|insurance|licen[cs]e|member|membership|passport|policy|routing|security|tax)"
    r" number|(?:credit|debit|bank) card(?=(?: is| ends|:| \d))|social security)"
)
_SHORT = r"(?:pin|login|combination)"  # only where it is somebody's
_TOLD = re.compile(
    # "the code of our garage door is Kestrel", "password: Kestrel", "I changed my passcode to Kestrel"
    rf"\b(?:{_SECRET}|{_OWN} {_SHORT})(?:'s|\b.{{0,60}}?(?:\b(?:is|are|was|were|reads?|ends|to)\b|[:=]))\W*\w"
    # "Kestrel is our door code", "I use Kestrel as my password"
    rf"|(?:(?<!what )(?<!where )\bis|(?<!what)(?<!where)'s|\bas) (?:also |still )?(?:the|{_OWN}) {_ADDED}{{0,3}}"
    rf"(?:{_SECRET}|{_SHORT})\b"
    # "PIN 4471", "the password hunter2", "the password, Kestrel,"
    rf"|\b(?:{_SECRET}|pin|with the code)\b\W+(?:[\w'-]+\W+){{0,3}}?(?:\d{{4}}|(?=[a-z]*\d)(?=\d*[a-z])\w{{5}})"
    rf"|\b{_SECRET},? (?-i:['\"A-Z])\w",
    re.IGNORECASE,
)


def _told(text: str) -> Iterator[Span]:
    return (found.span() for found in _SENTENCE.finditer(text) if _TOLD.search(found[0]))


# Whoever speaks of such a thing may tell it in the next breath: both are left out.
_LOCKED = re.compile(
    r"\b(?:pass(?:word|phrase|code)s?|pins?|combination|iban|(?:door|gate|alarm|access|entry|security) codes?)\b", re.I
)
_PIECE = re.compile(r"[^.!?\n]*(?:[.!?\n]|\Z)")
_GOES_ON = re.compile(r"\s*(?:it|that|this)\b", re.IGNORECASE)


def _mentions(text: str) -> Iterator[Secret]:
    """Sentences that speak of a secret, each with those that go on about it."""
    last: Secret | None = None
    for piece in _PIECE.finditer(text):
        if last and _GOES_ON.match(piece[0]) and not _LOCKED.search(piece[0]):
            last = replace(last, end=piece.end())
            continue
        if last:
            yield last
        last = Secret(MENTIONED, *piece.span(), True) if _LOCKED.search(piece[0]) else None
    if last:
        yield last


_STORABLE = (
    ("bank account", _accounts),
    ("social security number", _social_security),
    ("number", _numbers),
    ("random string", _random),
    ("told", _told),
)
