"""Children: who must be a son or a daughter of the user, and who may be anyone's."""

from __future__ import annotations

import pytest
from curated import told

CHILDREN = [
    ("Leo is off sick today, can you word something for his teacher?", "son", "Leo"),
    ("Please tell the kindergarten that Mila will be picked up by her grandpa and not by me.", "daughter", "Mila"),
    (
        "Two lines for the creche: Freya will be fetched by her nan today and not by us. Freya's two",
        "daughter",
        "Freya",
    ),
    ("word a note to the childminder, Noa will be late", "child", "Noa"),
    ("A line for school please, Kit is staying home today because he's got a rash", "son", "Kit"),
    ("I need a message to the nursery: Ebba won't be in today, she's poorly. Ebba is ill", "daughter", "Ebba"),
]
NOBODYS = [
    "Word a note to the school that Ben in my class is absent",
    "My nephew Leo is off sick, word a note for his school",
    "Tell the teacher that Ana will be collected by her mum",
    "The school says Leo is late.",
    "Leo is late again.",
    "A line for my friend's school: Tom is off today",
    "note for the vet: Rex will be late",
    "I teach at a school. Draft a note for the teacher, Tom is absent",
]


@pytest.mark.parametrize(("text", "kin", "name"), CHILDREN, ids=lambda part: part[:40])
def test_who_is_looked_after_for_the_user_is_their_child(text: str, kin: str, name: str) -> None:
    asked = {question.ask: memory.value for memory in told(text) for question in memory.questions}
    assert asked.get(f"what is my {kin} called?") == name, asked


@pytest.mark.parametrize("text", NOBODYS)
def test_who_may_be_anyones_child_is_nobodys(text: str) -> None:
    kin = ("my son|", "my daughter|", "my child|")
    assert [memory.statement for memory in told(text) if memory.relation.startswith(kin)] == []
