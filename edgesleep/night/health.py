"""Health: the user's body, what was done to it, and when somebody wants to see it again.

Owns operations ("had it replaced in 2019, the right one"), conditions that last ("I've got asthma", "I'm left-handed"),
medicines, and being asked to come back ("they said come back in six weeks for the crown"). Leaves allergies to `rules`
and appointments with a name to `appointments`. Must stay true: "it" is the one part of the body that the message
names; what hurts today is no condition.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from edgesleep.night.lexicon import KIN, MONTHS, any_word, capital, words
from edgesleep.night.parts import spoken_run
from edgesleep.night.phrases import fold
from edgesleep.night.questions import Fact, fact_of, yours
from edgesleep.night.reading import Word, any_of

_BODY = (
    "knee|hip|shoulder|wrist|ankle|elbow|foot|hand|arm|leg|back|neck|nose|ear|eye|thumb|finger|toe|jaw|spine|collarbone"
    "|cataract|hernia|appendix|gallbladder|tonsils|wisdom teeth|wisdom tooth|kidney|thyroid|meniscus|cruciate|achilles"
    "|bunion|cartilage|tendon|breast|womb|prostate|heart valve|varicose veins"
)
_DONE = (
    "operated on|replaced|removed|taken out|out|set|pinned|fixed|repaired|reconstructed|done|amputated|fused|lasered"
    "|stitched|straightened|drained"
)
_HAD = re.compile(
    rf"^(?P<who>I|My [a-z-]+|He|She)?(?: ?(?:'ve|have|has|'s))? ?[Hh]ad (?:(?P<whose>my|his|her|the|both|an?) "
    rf"(?:(?P<side>left|right|both) )?(?P<part>{_BODY})|(?P<it>it|them)) (?P<done>{_DONE})"
    r"(?P<rest>(?: .*)?)$",
    re.IGNORECASE,
)
_WHEN = re.compile(
    rf" (?:(?:back )?in (?P<when>(?:(?:{any_word(MONTHS)})(?: (?:19|20)\d\d)?)|(?:19|20)\d\d)"
    rf"|on (?P<day>(?:[A-Z][a-z]+ )?\d\d? (?:{any_word(MONTHS)}) \d{{4}}))(?=$|[ ,])",
    re.IGNORECASE,
)
_SIDE = re.compile(
    r"(?:,|—| -)? ?(?:it was |it's )?the (?P<side>left|right) (?:one|side|knee|hip|hand|foot|eye|ear)\b", re.I
)
_PART = re.compile(
    rf"\b(?P<whose>my|my [a-z-]+'s|his|her) (?:bad |dodgy |poor )?(?:(?P<side>left|right) )?(?P<part>{_BODY})\b", re.I
)
_CONDITION = any_of(r"""
    asthma | (?:type (?:1|2|one|two) )?diabetes | eczema | migraines? | (?:rheumatoid )?arthritis | epilepsy | adhd
    | add
    | autism | dyslexia | dyspraxia | dyscalculia | coeliac disease | celiac disease | ibs | crohn'?s(?: disease)?
    | colitis
    | endometriosis | pcos | tinnitus | vertigo | (?:high|low) blood pressure | hay ?fever | gout | psoriasis | rosacea
    | sleep apn(?:o)?ea | insomnia | a heart murmur | a pacemaker | a stoma | scoliosis | sciatica | osteoporosis
    | glaucoma
    | cataracts | an(?:a)?emia | lupus | ms | multiple sclerosis | parkinson'?s(?: disease)? | dementia | alzheimer'?s
    | long covid | fibromyalgia | lactose intolerance | a nut allergy | an? (?:underactive|overactive) thyroid | ocd
    | ptsd
    | bipolar(?: disorder)? | a prosthetic leg | an artificial (?:hip|leg|knee) | hearing aids?
    | a bad (?:back|knee|hip|shoulder) | bad knees | weak ankles | a cochlear implant | reynaud'?s | raynaud'?s
    | haemophilia | hemophilia | carpal tunnel | tourette'?s | narcolepsy
""").replace("\n    ", "")
_BEING = any_of(r"""
    (?:type (?:1|2|one|two) )?diabetic | asthmatic | epileptic | dyslexic | dyspraxic | colou?r[- ]?blind
    | (?:short|near|long|far)[- ]?sighted | (?:left|right)[- ]handed | ambidextrous | autistic | an(?:a)?emic | coeliac
    | celiac | lactose[- ]intolerant
    | (?:(?:partially|half|completely) )?(?:deaf|blind) in (?:my|his|her|one|the) (?:(?:left|right) )?(?:ear|eye)
    | hard of hearing | bipolar
""").replace("\n    ", "")
_WHO = rf"(?P<who>I|[Mm]y (?:{any_word(KIN)}))"
_HAS = re.compile(
    rf"^{_WHO}(?P<verb>(?:'ve| have|'s| has) (?:(?:also|always|only) )?(?:got |had )?|(?: was|'ve been| have been|"
    rf" has been| got)"
    rf" (?:just |recently )?diagnosed with |(?: suffers?| suffer) from |(?: wears?) )(?P<what>{_CONDITION})"
    r"(?: since (?P<since>[\w ]{2,20}))?(?P<after> in \d{4}| last year| as a (?:child|kid|teenager))?(?=$|,| and |"
    r" so | but )",
    re.IGNORECASE,
)
_IS = re.compile(
    rf"^{_WHO}(?:'m| am| is|'s)(?: (?:also|very|quite|a bit|pretty|slightly))? (?P<what>{_BEING})(?=$|,| and | so "
    rf"| but )",
    re.I,
)
_MEDICINE = re.compile(
    rf"^{_WHO}(?:(?:'m| am|'s| is|'ve been| have been| has been) on| takes?)(?: \d+ ?(?:mg|mcg|ml)(?: of)?)?"
    rf" (?P<what>(?:[a-z-]+ ){{0,2}}(?:statins|antidepressants"
    r"|blood thinners|beta ?blockers|insulin|steroids|antibiotics|the pill|hrt|anticoagulants|painkillers|codeine"
    r"|morphine"
    r"|methadone|lithium|mirtazapine|quetiapine|duloxetine|\w{3,}(?:statin|formin|pril|sartan|olol|oxetine|prazole|tidine"
    r"|idone|zepam|thyroxine|traline|opram|dipine|farin|cillin)))"
    r"(?: \d+ ?mg)?(?= for | since | every | a day| at | twice |$|,| and | so | but )",
    re.IGNORECASE,
)
_AGAIN = re.compile(
    r"^(?:(?P<by>They|She|He|The [a-z]+|My [a-z]+|Dr\.? [A-Z]\w+)(?:'ve| have|'s| has)? (?:said|says|told me|asked me"
    r"|wants? me|wanted me|needs? me|booked me|wants? to see me)(?: to| that I(?: have| need)? to| I(?: have| need"
    r"|'ve got)?"
    r" to| I (?:must|should))?|I(?:'m| am| have to| need to| must|'ve got to|'ve to| got to|'ll|'m supposed to|'m due))"
    r"(?: be| come| go| return| pop)?(?: back)?(?: in| again| there)? (?:back |again |in )?(?P<when>(?:around|on"
    r"|in|at) .+?)(?: for (?P<for>(?:the|my|a|an) [a-z -]+?)| to (?P<to>(?:have|get) [a-z -]+?))?"
    r"(?= instead| rather|$|,| so | and | but )",
    re.IGNORECASE,
)
_BACK = re.compile(r"\b(?:back|again|return)\b", re.IGNORECASE)
_DATED = re.compile(
    rf"(?:around |on |in |at )*(?P<day>(?:the )?(?:[A-Z][a-z]+day )?\d\d? (?:of )?(?:{any_word(MONTHS)})(?: \d{{4}})?"
    rf"|(?:the )?\d\d?(?:st|nd|rd|th) of (?:{any_word(MONTHS)})(?: \d{{4}})?|(?:a|\d+|[a-z]+) (?:weeks?|months?"
    rf"|days?|years?)"
    rf"(?:'? time)?|(?:{any_word(MONTHS)})(?: \d{{4}})?|[A-Z][a-z]+day(?: \d\d? (?:{any_word(MONTHS)}) \d{{4}})?"
    r"|the week of \d\d? [A-Z][a-z]+ \d{4})",
    re.IGNORECASE,
)
_TREATMENT = re.compile(
    r"\b(crown|check[- ]?up|scan|x[- ]?ray|stitches|results|fitting|filling|root canal|operation|injection|jab|booster"
    r"|blood test|review|follow[- ]?up|hygienist|cast|brace|implant|biopsy|second dose)\b",
    re.IGNORECASE,
)


def health(sentence: Sequence[Word], text: str) -> Iterator[Fact]:
    """What a sentence of the message `text` tells of somebody's body."""
    spoken = spoken_run(sentence).removesuffix(" .").replace(" ,", ",").strip()
    yield from _operated(spoken, text)
    yield from _lasting(spoken)
    yield from _back_again(spoken, text)


# ---- operations


def _operated(spoken: str, text: str) -> Iterator[Fact]:
    """ "My knee's gone again. Had it operated on in 2018, the left one"."""
    found = _HAD.match(spoken)
    if found is None or (found["who"] or "I").lower() in ("he", "she"):
        return
    whose, side, part = (found["whose"] or "").lower(), found["side"] or "", found["part"] or ""
    if found["it"]:
        parts = list(_PART.finditer(text))
        if len({named["part"].lower() for named in parts}) != 1:
            return
        whose, side, part = parts[0]["whose"].lower(), parts[0]["side"] or "", parts[0]["part"]
    own = whose in ("my", "the", "both", "a", "an")
    who = found["who"] or "I"
    if (who == "I") != own or (whose in ("both", "the", "a", "an") and part in ("back", "hand", "foot")):
        return
    if second := _SIDE.search(found["rest"]):
        side = second["side"]
    when = _WHEN.search(found["rest"])
    if found["done"].lower() == "out" and part.lower() not in _ORGANS and not part.lower().startswith("wisdom"):
        return  # "had my hand out"
    yield from _done_to(who, whose, side.lower(), part.lower(), found["done"].lower(), when)


_ORGANS = {*words("appendix gallbladder tonsils kidney thyroid womb cataract hernia prostate")}


def _done_to(who: str, whose: str, side: str, part: str, done: str, when: re.Match[str] | None) -> Iterator[Fact]:
    person = who if who == "I" else who[:1].lower() + who[1:]
    thing = " ".join(filter(None, (whose, side, part)))
    date = f" {when[0].strip().removeprefix('back ')}" if when else ""
    told = f"{who} had {thing} {done}{date}."
    key = f"{person}|had|{part}"
    bare = " ".join(filter(None, (whose, part)))
    if when:
        value = when["when"] or when["day"]
        pairs = [
            (f"when did {person} have {thing} {done}?", f"when {person} had {thing} {done}"),
            (f"when was it that {person} had {bare} {done}?", f"when it was that {person} had {bare} {done}"),
            (f"when was {_my(person, thing)} {done}?", f"when {_my(person, thing)} was {done}"),
            (f"what year did {person} have {bare} {done}?", f"what year {person} had {bare} {done}"),
        ]
        if done == "out":
            pairs.pop(2)
        if done == "operated on":
            own = "my" if person == "I" else f"{person}'s"
            pairs.append((f"when was {own} {part} operation?", f"when {own} {part} operation was"))
            pairs.append((f"what year was {own} {part} surgery?", f"what year {own} {part} surgery was"))
        yield from fact_of(told, value, f"{key}|when", "event", pairs)
    if side in ("left", "right"):
        own = "my" if person == "I" else f"{person}'s"
        pairs = [
            (f"which {part} did {person} have {done}?", f"which {part} {person} had {done}"),
            (f"which {part} was it that {person} had {done}?", f"which {part} it was that {person} had {done}"),
            (f"which of {own} {_plural(part)} was {done}?", f"which of {own} {_plural(part)} was {done}"),
            (f"on which side did {person} have {bare} {done}?", f"on which side {person} had {bare} {done}"),
        ]
        if person == "I" and done == "operated on":
            pairs.insert(1, (f"which {part} did I have surgery on?", f"which {part} I had surgery on"))
        yield from fact_of(told, side, f"{key}|side", "fact", pairs, f"The {side} one.")
    elif not when and done not in ("done", "set", "fixed"):
        pairs = [
            (f"what did {person} have {done}?", f"what {person} had {done}"),
            (f"what was it that {person} had {done}?", f"what it was that {person} had {done}"),
            (f"which part of the body did {person} have {done}?", f"which part of the body {person} had {done}"),
            (f"what operation did {person} have?", f"what operation {person} had"),
        ]
        yield from fact_of(told, part, f"{key}|what", "event", pairs, yours(capital(f"{bare}.")))


def _my(person: str, thing: str) -> str:
    return thing if person == "I" else re.sub(r"^(?:his|her) ", f"{person}'s ", thing)


def _plural(part: str) -> str:
    return {"foot": "feet"}.get(part, part if part.endswith("s") else f"{part}s")


# ---- what lasts


def _lasting(spoken: str) -> Iterator[Fact]:
    """ "I've got asthma", "I'm left-handed", "my dad is on statins"."""
    if found := _HAS.match(spoken):
        who, what = _person(found["who"]), found["what"]
        bare = re.sub(r"^(?:an?) ", "", what)
        has = "have" if who == "I" else "has"
        verb = (
            re.sub(r"^'ve|^'s", f" {has}", found["verb"].lower()).replace("have got", "have").replace("has got", "has")
        )
        told = f"{found['who'][:1].upper()}{found['who'][1:]} {verb.strip()} {what}{found['after'] or ''}."
        yield from _condition(told, who, bare, f"{who}|condition|{fold(bare)}")
    elif found := _IS.match(spoken):
        who = _person(found["who"])
        what = found["what"]
        told = f"{found['who'][:1].upper()}{found['who'][1:]} {'am' if who == 'I' else 'is'} {what}."
        if re.search(r"handed|ambidextrous", what, re.IGNORECASE):
            pairs = [
                (f"which hand {_do(who)} {who} use?", f"which hand {who} {_s(who, 'use')}"),
                (f"which hand {_do(who)} {who} write with?", f"which hand {who} {_s(who, 'write')} with"),
                (f"what is {_whose(who)} handedness?", f"what {_whose(who)} handedness is"),
                (f"which hand is {_whose(who)} stronger one?", f"which hand is {_whose(who)} stronger one"),
            ]
            yield from fact_of(told, what, f"{who}|handed", "fact", pairs)
        elif sense := re.match(
            r"(?P<lost>.*\b(?:deaf|blind)) in \w+ (?P<side>left|right) (?P<organ>ear|eye)", what, re.I
        ):
            yield from _on_one_side(told, who, sense)
        else:
            yield from _condition(told, who, what, f"{who}|condition|{fold(what)}")
    elif found := _MEDICINE.match(spoken):
        who, what = _person(found["who"]), re.sub(r"^(?:the|a) ", "", found["what"])
        be = "am" if who == "I" else "is"
        told = f"{found['who'][:1].upper()}{found['who'][1:]} {be} on {found['what']}."
        pairs = [
            (f"what medicine {_do(who)} {who} take?", f"what medicine {who} {_s(who, 'take')}"),
            (f"what medication {be} {who} on?", f"what medication {who} {be} on"),
            (f"what {be} {who} being treated with?", f"what {who} {be} being treated with"),
            (f"which drug {be} {who} on?", f"which drug {who} {be} on"),
        ]
        yield from fact_of(told, what, f"{who}|medicine|{fold(what)}", "fact", pairs)


def _on_one_side(told: str, who: str, sense: re.Match[str]) -> Iterator[Fact]:
    """ "I'm deaf in my left ear": which ear?"""
    lost, organ, be = sense["lost"], sense["organ"], "am" if who == "I" else "is"
    pairs = [
        (f"which {organ} {be} {who} {lost} in?", f"which {organ} {who} {be} {lost} in"),
        (f"what side {be} {who} {lost} on?", f"what side {who} {be} {lost} on"),
        (f"which of {_whose(who)} {organ}s is {lost}?", f"which of {_whose(who)} {organ}s is {lost}"),
        (f"on which side {be} {who} {lost}?", f"on which side {who} {be} {lost}"),
    ]
    yield from fact_of(told, sense["side"], f"{who}|{organ}|side", "fact", pairs, f"The {sense['side']} one.")


def _condition(told: str, who: str, what: str, relation: str) -> Iterator[Fact]:
    has = "have" if who == "I" else "has"
    pairs = [
        (f"what condition {_do(who)} {who} have?", f"what condition {who} {has}"),
        (f"what is {_whose(who)} medical condition?", f"what {_whose(who)} medical condition is"),
        (f"what should a doctor know about {'me' if who == 'I' else who}?",
         f"what a doctor should know about {'me' if who == 'I' else who}"),
        (f"what health problem {_do(who)} {who} have?", f"what health problem {who} {has}"),
    ]  # fmt: skip
    yield from fact_of(told, what, relation, "fact", pairs)


def _person(who: str) -> str:
    return who if who == "I" else who[:1].lower() + who[1:]


def _do(who: str) -> str:
    return "do" if who == "I" else "does"


def _s(who: str, verb: str) -> str:
    return verb if who == "I" else f"{verb}s"


def _whose(who: str) -> str:
    return "my" if who == "I" else f"{who}'s"


# ---- coming back


def _back_again(spoken: str, text: str) -> Iterator[Fact]:
    """ "They said come back in six weeks for the crown"."""
    found = _AGAIN.match(spoken)
    if found is None or not _BACK.search(spoken[: found.end("when")]):
        return
    when = _DATED.fullmatch(found["when"].strip())
    treatments = {match[1].lower() for match in _TREATMENT.finditer(text)}
    purpose = found["for"] or ""
    if not purpose and not found["to"] and len(treatments) == 1:
        purpose = f"the {treatments.pop()}"
    if when is None:
        return
    if not purpose and not found["to"]:
        yield from _seen_again(found["by"] or "", found["when"].strip(), re.sub(r"^the (?=\d)", "", when["day"]))
        return
    if not found["by"] and not _TREATMENT.search(purpose or found["to"] or ""):
        return
    why = f"for {purpose}" if purpose else f"to {found['to']}"
    date = found["when"].strip()
    told = f"I have to come back {date} {why}."
    value = re.sub(r"^the (?=\d)", "", when["day"])
    pairs = [
        (f"when do I have to go back {why}?", f"when I have to go back {why}"),
        (f"when am I to come back {why}?", f"when I am to come back {why}"),
        (f"when do they want me back {why}?", f"when they want me back {why}"),
        (f"when is my next visit {why}?", f"when my next visit {why} is"),
    ]
    if purpose and (kind := _TREATMENT.search(purpose)):
        pairs.insert(1, (f"when is my {kind[1].lower()} appointment?", f"when my {kind[1].lower()} appointment is"))
        if purpose == "the crown":
            pairs.append(("when is the crown being done?", "when the crown is being done"))
    thing = _TREATMENT.search(why)
    key = fold(thing[1] if thing else purpose or why)
    yield from fact_of(told, value, f"i|back|{key}", "event", pairs, capital(f"{date}."))


def _seen_again(by: str, date: str, day: str) -> Iterator[Fact]:
    """ "The physio wants to see me again in four weeks"."""
    if not by.startswith(("The ", "My ", "Dr")):
        return
    who = by if by.startswith("Dr") else by[:1].lower() + by[1:]
    pairs = [
        (f"when does {who} want to see me again?", f"when {who} wants to see me again"),
        (f"when do I have to go back to {who}?", f"when I have to go back to {who}"),
        (f"when am I seeing {who} again?", f"when I am seeing {who} again"),
        (f"when is my next visit to {who}?", f"when my next visit to {who} is"),
    ]
    told = f"{by} wants to see me again {date}."
    yield from fact_of(told, day, f"i|back|{fold(who)}", "event", pairs, capital(f"{date}."))
