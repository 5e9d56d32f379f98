"""Latecomers: names that come after those who bear them, and names that go to nobody."""

from __future__ import annotations

import pytest
from curated import told

NAMED = [
    (("The blanket is from my aunt. She's knitting another. Marguerite knits like a machine",), "aunt", "Marguerite"),
    (("my sister's stuck at the airport again. Saoirse never learns",), "sister", "Saoirse"),
    (("my gran came to stay. Philippa snores like a tractor.",), "gran", "Philippa"),
    (("The dog stole my scarf again. Ziggy loves wool.",), "dog", "Ziggy"),
    (("My brother is visiting.", "Thaddeus hates the stairs here"), "brother", "Thaddeus"),
    (("We got a puppy and named her Olive.",), "puppy", "Olive"),
    (("our new parrot, we called him Bruno",), "parrot", "Bruno"),
    (("My sister is named Ursula.",), "sister", "Ursula"),
    (("my mum goes by Bridie",), "mum", "Bridie"),
    (("his name is Bertil, my landlord",), "landlord", "Bertil"),
    (("Gudrun, the boss, is off sick.",), "boss", "Gudrun"),
    (("The boss, Gudrun, is off sick.",), "boss", "Gudrun"),
    (("My grandson was born on Tuesday, they named him Albie.",), "grandson", "Albie"),
    (("My best mate Sanjay is a paramedic.",), "mate", "Sanjay"),
    (("Annika is my wife.",), "wife", "Annika"),
    (("Annika's my wife",), "wife", "Annika"),
    (("I have two sons, Emil and Otto.",), "sons", "Emil and Otto"),
]
NOBODYS = [
    ("My sister lives in Spain. Madrid is hot.",),
    ("My brother's mad about football. He's watching tonight. Arsenal lost again.",),
    ("My wife loves to read. Tolstoy bores me.",),
    ("My mum called. Netflix wants more money.",),
    ("My son is into Minecraft. Steve walks through walls.",),
    ("I watched it with my wife. Clooney smokes too much.",),
    ("My sister's favourite is Adele. Adele sings it best.",),
    ("My daughter has a teddy. Bruno sleeps with her.",),
    ("My mum met a man. Derek snores.",),
    ("My sister has a new boyfriend. Marco cooks.",),
    ("My mum and my aunt are here. Maureen knits all day.",),
    ("My neighbour moved in. Petra sings all night.",),
    ("My mum called.", "How does Petra sing so well?"),
    ("Google is my friend.",),
    ("Is Annika my wife?",),
    ("My aunt said: 'Petra snores'.",),
    ("Write a story: my aunt is here. Petra snores.",),
    ("If we get a dog and name her Olive, will she bark?",),
]


@pytest.mark.parametrize(("messages", "who", "name"), NAMED, ids=lambda part: str(part)[:40])
def test_a_name_goes_to_whom_it_takes_up(messages: tuple[str, ...], who: str, name: str) -> None:
    names = {
        memory.told.split(" ", 1)[1]: memory.value for memory in told(*messages) if memory.relation.endswith("|name")
    }
    assert name in names.values() and any(f"{who} " in whom for whom in names), names


@pytest.mark.parametrize("messages", NOBODYS, ids=lambda messages: messages[0][:40])
def test_a_name_that_may_be_anothers_is_nobodys(messages: tuple[str, ...]) -> None:
    assert [memory.statement for memory in told(*messages) if memory.relation.endswith("|name")] == []
