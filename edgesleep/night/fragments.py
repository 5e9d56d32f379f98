"""Fragments: bare words that describe what was just spoken of ("we're getting a second dog. greyhound.").

Owns what is told without a verb: the breed of a new animal, the make of a new car, the fillings of a visit to the
dentist. Leaves sentences to `rules`. Must stay true: every word of a fragment is one of its kind, so that an answer, a
comment or an order is taken for no description; nothing is read out of a question or of what only might be.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from edgesleep.night.lexicon import BEASTS, COLOURS, KIN, NUMBERS, any_word, words
from edgesleep.night.phrases import article, fold
from edgesleep.night.questions import Fact, fact_of
from edgesleep.night.thesaurus import CARS, CATS, DOGS

_BREEDS = {word for breed in (*DOGS, *CATS) for word in fold(breed).split()} | {*words("""
    lurcher whippet greyhound labrador lab retriever golden spaniel cocker springer terrier jack russell poodle collie
    border staffie staffy mongrel mutt cross crossbreed ridgeback pointer setter samoyed malamute akita doodle cavapoo
    maltese papillon pekingese sheepdog wolfhound deerhound bloodhound pitbull bulldog french shepherd tabby siamese
    ginger tortoiseshell calico persian bengal birman ragdoll sphynx burmese moggy moggie lop angora netherland dwarf
    shetland connemara welsh cob fjord haflinger icelandic russian syrian cockatiel budgie macaw
""")}  # fmt: skip
_NOT_ALONE = {
    *words("golden border jack french cross dwarf welsh shetland russian persian ginger bulldog shepherd lab")
}
_SIZES = {
    *words("little small big tiny huge mini miniature toy standard old young female male black brindle fawn grey")
}
_MAKES = {word for make in CARS for word in fold(make).split()} | {
    *words("""
    transit berlingo kangoo doblo octavia fabia golf polo corsa astra focus fiesta clio megane yaris corolla prius civic
    panda punto duster sandero jogger logan leaf zoe tucson qashqai brompton trek canyon giant cube specialized gazelle
    honda yamaha suzuki kawasaki triumph vespa ducati ford peugeot bmw mercedes volvo saab seat cupra mini smart
""")
}
_VEHICLES = "car|van|bike|motorbike|scooter|bicycle|campervan|truck"
_LEAD = r"(?:(?:an?|another|one more|our|my|the) )"
_GOT = re.compile(
    r"(?:(?:^|[.!?]\s+)(?=(?:just|finally) (?:bought|got|ordered|adopted) )|\b(?P<who>I|we)(?:'m|'re|'ve| am| are|"
    r" have)?)"
    r"(?: ?(?:just|finally|also|now))* (?P<verb>getting|got|get|bought|buying|adopted|adopting|have|having|picked up"
    r"|picking up|ordered|taking in|rescued|rescuing|fostering|rehoming|collecting)"
    rf"(?: got)? {_LEAD}(?P<what>(?:(?:new|second|third|little|small|big|rescue|used|second-hand|old|first|young"
    rf"|different|other) )*(?P<noun>{any_word(BEASTS)}|{_VEHICLES}))\b",
    re.IGNORECASE,
)
_PIECE = re.compile(r"(?P<mark>[.!?;:…\n]+|,| [-–—]|\()?(?P<words>(?:(?! - )[^.!?;:…\n,()–—])*)(?=(?P<after>[.!?]*))")
_LEADS_IN = re.compile(r"^(?:(?:it|he|she)(?:'s| is) )?(?:an? )?(?:proper |actually |just )?", re.IGNORECASE)
_MIGHT = re.compile(
    r"\b(?:if|would|might|could|wish|should|thinking of|want(?:s|ed)? to|wanna|maybe|like to|n't|never)\b", re.I
)
_VISIT = re.compile(
    r"\b(?:dentist|hygienist|doctor|gp|hospital|clinic|surgery|a ?& ?e|nurse|physio|optician|numb|anaesthetic"
    r"|vaccination|orthodontist|dental|er|teeth|tooth)\b",
    re.IGNORECASE,
)
_DONE = re.compile(
    rf"(?:^\s*|[.!,;:\n(—–-]\s*|\b(?:got|had|needed|and|with|took) )(?P<count>{NUMBERS}|\d|an?|no) (?P<what>fillings?"
    r"|stitches|crowns?|extractions?|injections?|jabs?|x-?rays?|root canals?|blood tests?|scans?|teeth out|tooth out)"
    r"(?= in my (?:hand|knee|head|chin|finger|thumb|leg|arm|foot|eyebrow|forehead|lip|mouth)\b| and\b| but\b"
    r"|[.,!;:)\n]|$)",
    re.IGNORECASE,
)
_OF_OTHERS = re.compile(
    rf"\b(?:he|she|his|her|they|their|it|its|(?:my|our|the) (?:{any_word(KIN | BEASTS)}))\b", re.IGNORECASE
)
_SENTENCE = re.compile(r"[^.!?\n]+[.!?\n]*")


def fragments(text: str, before: str) -> Iterator[Fact]:
    """What the bare words of the message `text` tell; `before` is the message before it."""
    for found in _GOT.finditer(text):
        yield from _described(found, text)
    yield from _treated(text, before)


def _described(found: re.Match[str], text: str) -> Iterator[Fact]:
    """The first words after a thing that are its kind, in the same sentence or as the next one."""
    start = max(text.rfind(mark, 0, found.start()) for mark in ".!?\n,;") + 1
    ended, animal = 0, found["noun"].lower() in BEASTS
    for piece in _PIECE.finditer(text, found.end()):
        if _MIGHT.search(text[start : piece.start("words")]) or ended > 1 or piece.start() - found.end() > 120:
            return
        ended += bool(piece["mark"] and piece["mark"].strip()[:1] in ".!?;…")
        frag = _LEADS_IN.sub("", piece["words"].strip())
        if "?" in (piece["mark"] or "") or "?" in piece["after"]:
            return
        if piece["mark"] and _is_kind(frag, found["noun"].lower(), animal):
            yield from _kind_told(found, frag, animal)
            return


def _is_kind(frag: str, noun: str, animal: bool) -> bool:
    bare = re.sub(r"\b(?:very|quite|really|actually|mix|puppy|kitten|pup)\b", "", fold(frag)).split()
    known = _BREEDS | _SIZES | COLOURS if animal else _MAKES | COLOURS
    kinds = (_BREEDS - (_NOT_ALONE if len(bare) == 1 else set())) if animal else _MAKES
    return bool(bare) and {*bare} <= known and bool({*bare} & kinds) and noun not in bare


def _kind_told(found: re.Match[str], frag: str, animal: bool) -> Iterator[Fact]:
    ours, what, noun = (
        ("our" if (found["who"] or "I").lower() == "we" else "my"),
        found["what"].lower(),
        found["noun"].lower(),
    )
    who, do = ("we", "do") if ours == "our" else ("I", "do")
    name = any(word[:1].isupper() for word in frag.split()) or not animal
    told = f"{ours.capitalize()} {what} is {article(frag)} {frag}."
    kind = "breed" if animal else "make"
    pairs = [
        (f"what {kind} is {ours} {what}?", f"what {kind} {ours} {what} is"),
        (f"what kind of {noun} is {ours} {what}?", f"what kind of {noun} {ours} {what} is"),
        (f"what {kind} of {noun} {do} {who} have?", f"what {kind} of {noun} {who} have"),
        (f"which {kind} did I say {ours} {what} is?", f"which {kind} I said {ours} {what} is"),
    ]
    if found["verb"].lower().endswith("ing") and found["verb"].lower() != "having":
        be = "are" if who == "we" else "am"
        coming = f"what kind of {noun} {be} {who} getting?", f"what kind of {noun} {who} {be} getting"
        pairs[2] = coming
    short = f"{article(frag).capitalize()} {frag}." if not name or animal else f"{frag[:1].upper()}{frag[1:]}."
    yield from fact_of(told, frag, f"{ours} {what}|breed", "fact", pairs, short)


def _treated(text: str, before: str) -> Iterator[Fact]:
    """ "Done, numb, two fillings", after a visit to the dentist."""
    if not _VISIT.search(text) and not _VISIT.search(before):
        return
    for sentence in _SENTENCE.findall(text):
        if (
            sentence.rstrip().endswith("?")
            or _MIGHT.search(sentence)
            or re.search(r"\bneeds?\b|\bwill\b|'ll\b", sentence)
        ):
            continue
        for found in _DONE.finditer(sentence):
            if _OF_OTHERS.search(sentence[: found.end()]) or found["count"].lower() == "no":
                continue
            count, what = found["count"].lower(), found["what"].lower()
            several = what.split()[0]
            several = several if several.endswith("s") else f"{several}s"
            several = {"tooths": "teeth"}.get(several, several) + what[len(what.split()[0]) :]
            told = f"I had {count} {what}."
            pairs = [
                (f"how many {several} did I have?", f"how many {several} I had"),
                (f"how many {several} did I get?", f"how many {several} I got"),
                (f"what number of {several} did I have?", f"what number of {several} I had"),
                (f"how many {several} were there?", f"how many {several} there were"),
            ]
            if count not in ("a", "an"):
                yield from fact_of(told, count, f"i|had|{fold(several)}", "event", pairs, f"{count.capitalize()}.")
