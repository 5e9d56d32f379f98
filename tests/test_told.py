"""What is denied, doubted, supposed, taken back or said of others is not told of the user."""

from __future__ import annotations

import re

import pytest
from curated import told

WRONG = [
    ("I missed my meeting with Sarah.", r"I had"),
    ("I cancelled my dinner with Tom because of the rain.", r"I had"),
    ("I'm not going to my dinner with Leo.", r"I had"),
    ("I have my interview with Amazon on Friday.", r"I had"),
    ("Can you help me with my interview with Google?", r"I had"),
    ("If my call with Peter goes well, I'll be happy.", r"I had"),
    ("Here is a joke about my conversation with God.", r"I had"),
    ("I don't think I was charged $40 by Amazon.", r"charged \$40"),
    ("I'd only move if I was offered $90,000 by Google.", r"offered"),
    ("My friend asked if I was offered $70,000 by Meta.", r"offered"),
    ("They thought I was fined $200, which is wrong.", r"fined"),
    ("I was charged $30 with Tom.", r"by Tom"),
    ("I almost bought a new 65-inch tv.", r"tv is|have a"),
    ("I haven't bought a new 65-inch tv yet.", r"tv is|have a"),
    ("I returned my new 65-inch tv last week.", r"tv is|have a"),
    ("I work near the river. I go in every Tuesday and work from home otherwise.", r"swim"),
    ("My friend Tom hates the pool. I get in every Monday at the office.", r"swim"),
    ("I just finished Elden Ring. What book should I read next?", r"book"),
    ("I finished Oppenheimer, the one about Robert Oppenheimer.", r"book"),
    ("I finished Halo, it took 20 hours. My mom reads a lot of books.", r"book"),
    (
        "My brother lives in Canada now, he moved to Toronto. I drove across the country with my dog in 2019.",
        r"across Toronto",
    ),
    ("My boss went to Germany. I worked all over the country for 3 years.", r"over Germany"),
    ("When my brother lived in Peru, I explored the city of Kyoto and travelled across the country.", r"across Peru"),
    ("I want to go back to Rome someday. Last summer I went with my sister to Oslo.", r"to Rome"),
    ("I quit my weekly yoga classes.", r"weekly"),
    ("We used to have our weekly tennis sessions but stopped.", r"weekly"),
    ("I'm thinking of starting my weekly piano lessons again.", r"weekly"),
    ("I have been dreaming of a life, quitting work by 40.", r"by 40"),
    ("I love our hens. We've got 20 dozen in the fridge.", r"hens in"),
    ("I argued with my boss at work. I've spent 3 weeks on it.", r"on my boss"),
    ("I'm working with my brother on a sculpture. I've put in 10 hours so far.", r"on my brother"),
    ("I'm in London with Tom. I just finished my fifth episode.", r"of London"),
    ("I'm hoping to save $500 a month.", r"goal"),
    ("I'm hoping to finish 2 more chapters tonight.", r"goal"),
    ("I'm aiming to run 10 miles a day.", r"goal"),
    ("We're hoping to visit 2 friends on Sunday.", r"goal"),
    ("I went to Tom and got 2 books.", r"in Tom"),
    ("I went to work and ate 3 donuts.", r"in work"),
    ("I moved the desk to the left.", r"is in|is on"),
    ("I moved the sofa to the other side of the room.", r"is in|is on"),
    ("I put the clock in the wrong place.", r"is in|is on"),
    ("I put the desk in my room and then moved the desk to the garage.", r"is in|is on"),
]


@pytest.mark.parametrize(("text", "wrong"), WRONG, ids=lambda part: part[:40])
def test_it_is_not_told(text: str, wrong: str) -> None:
    lines = [f"{m.told} {' '.join(question.ask for question in m.questions)}" for m in told(text) if m.kind != "saying"]
    assert [line for line in lines if re.search(wrong, line)] == []
