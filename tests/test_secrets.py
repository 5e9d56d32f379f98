"""Secrets: found in every form in which one is told, and never in ordinary chat, of which nothing may be eaten."""

from __future__ import annotations

import random
import re
import string
import subprocess
import sys
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edgesleep.secrets import find, redact

RANDOM = random.Random(7)


def token(length: int, letters: str = string.ascii_letters + string.digits) -> str:
    return "".join(RANDOM.choices(letters, k=length))


def kinds(text: str) -> set[str]:
    return {secret.kind for secret in find(text)}


# -- never written ---------------------------------------------------------------------------------------------------

# Made up here, so that no scanner takes this file for a leak.
UNSTORABLE = [
    ("api key", "sk-ant-api03-" + token(40)),
    ("api key", "AIza" + token(35)),
    ("api key", "ASIA" + token(16, string.ascii_uppercase)),
    ("api key", "aws_secret_access_key = '" + token(40) + "'"),
    ("api key", "AccountKey=" + token(86) + "=="),
    ("api key", "M" + token(23) + "." + token(6) + "." + token(27)),
    ("api key", "gldt-" + token(20)),
    ("api key", "eyJ" + token(20) + ".eyJ" + token(60) + "." + token(43)),
    ("api key", token(32, "0123456789abcdef") + "-us12"),
    ("api key", "npm_" + token(36)),
    ("api key", "pypi-AgEIcHlwaS5vcmc" + token(80)),
    ("api key", "SG." + token(22) + "." + token(43)),
    ("api key", "https://hooks.slack.com/services/T0" + token(8) + "/B0" + token(8) + "/" + token(24)),
    ("api key", "sq0csp-" + token(43)),
    ("api key", "1234567890:" + token(35)),
    ("api key", "SK" + token(32, "0123456789abcdef")),
    ("password", "postgres://anna:hunter2@localhost:5432/shop"),
    ("card number", "6011 1111 1111 1117"),
]


@pytest.mark.parametrize(("kind", "secret"), UNSTORABLE)
def test_what_no_one_may_write_down_is_taken_out_whole(kind: str, secret: str) -> None:
    found = [hit for hit in find(f"Here: {secret} is mine.") if not hit.storable]
    assert {hit.kind for hit in found} == {kind}
    left = redact(f"Here: {secret} is mine.")
    assert f"[redacted: {kind}]" in left
    assert left.startswith("Here: ")
    assert left.endswith(" is mine.")
    assert not re.search(r"\w{20}", left), "a part of it is left"


def test_only_the_password_of_a_url_is_taken_out() -> None:
    assert redact("ftp://anna:hunter2@example.com/x") == "ftp://anna:[redacted: password]@example.com/x"


def test_a_number_that_stood_against_a_key_is_taken_out_with_it() -> None:
    assert redact("AKIA" + "A" * 16 + "4111111111111111") == "[redacted: api key][redacted: card number]"


# -- written, but not learned ----------------------------------------------------------------------------------------

TOLD = [
    "My password is hunter2.",
    "my wifi password is Kestrel",
    "The password for gmail.com is hunter2",
    "Biscuit is my wifi password.",
    "Hunter2, that's my password.",
    "I use Biscuit as my password everywhere",
    "I changed my password to Biscuit",
    "password: swordfish",
    "the password Kestrel opens it",
    "My PIN is 4471.",
    "my pin's 4471",
    "pin 4471",
    "The PIN of my card is 0912",
    "The pin for my phone is the year I was born",
    "My door code is Kestrel.",
    "The code to our garage is 55#2.",
    "the code for the front door is 4711",
    "4711 is the code for our gate",
    "The safe opens with the code 4711",
    "The alarm code's 9911",
    "The combination of my bike lock is 12-24-36",
    "my locker combination is 3 left, 4 right",
    "My account number is 123 456 789",
    "My passport number is X1234567",
    "My driving licence number is MORGA657054SM9IJ",
    "My login is anna / blue77",
    "My social security number is 536904399",
    "My seed phrase is apple banana cherry",
    "my api key is abc123",
    "my CVV is 123",
    "my credit card ends in 4242",
    "The sort code is 12-34-56",
]


@pytest.mark.parametrize("text", TOLD)
def test_a_secret_that_is_told_is_found_and_kept_as_it_was_said(text: str) -> None:
    assert "told" in kinds(text)
    assert all(secret.storable for secret in find(text))
    assert redact(text) == text


def test_a_told_secret_is_its_whole_sentence_and_no_other() -> None:
    text = "I moved to Porto. My door code is Kestrel! I like it."
    (secret,) = find(text)
    assert text[secret.start : secret.end] == "My door code is Kestrel"


@pytest.mark.parametrize(
    ("kind", "text", "secret"),
    [
        ("bank account", "Send it to DE89 3704 0044 0532 0130 00 OK", "DE89 3704 0044 0532 0130 00"),
        ("bank account", "GB29NWBK60161331926819.", "GB29NWBK60161331926819"),
        ("social security number", "it's 536-90-4399", "536-90-4399"),
        ("number", "his is 12345678901", "12345678901"),
        ("random string", "use q7W8e9R0t1Y2u3I4", "q7W8e9R0t1Y2u3I4"),
    ],
)
def test_what_looks_like_a_secret_is_found_and_kept(kind: str, text: str, secret: str) -> None:
    assert [(hit.kind, text[hit.start : hit.end]) for hit in find(text) if hit.storable] == [(kind, secret)]
    assert redact(text) == text


# -- ordinary --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "I just bought a Pixel 9 Pro XL, an iPhone15ProMax256GB and a Sony WH-1000XM5.",
        "I was born in 1987 and moved here in 2019.",
        "It starts at 10:30 and costs 1,299.99 euros.",
        "Rindfleischetikettierungsüberwachungsaufgabenübertragungsgesetz is a long word.",
        "See https://example.com/2024/03/10/some-title-of-a-post?id=42 for it.",
        "git revert 3f786850e387550fdab836ed7e6dc881de23001b does not work",
        "The sha256 is e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855.",
        "My order is 550e8400-e29b-41d4-a716-446655440000.",
        "git clone git@github.com:owner/name.git, then postgres://localhost:5432/db",
        "def test_case_1_step_2_run_3(): pass  # see IMG20240310T123456.jpg",
        "DE89 3704 0044 0532 0130 01 has a wrong checksum",
        "000-12-3456 is nobody's",
        "I had 10000000 followers on 20260310.",
        "The secret is to use butter.",
        "It's a secret token of love.",
        "My favourite colour combination is blue and white.",
        "I use a combination of saffron and paprika.",
        "My sister collects enamel pins, and the GPIO pin 14 is high.",
        "How do I reset my password?",
        "What is my password?",
        "I forgot my password again.",
        "The key to the house is under the mat.",
        "My zip code is 10115 and the dress code is casual.",
        "My credit card bill was huge in 2024.",
        "I pay at number 12 by credit card.",
    ],
)
def test_ordinary_chat_holds_no_secret(text: str) -> None:
    assert find(text) == ()
    assert redact(text) == text


# -- always ----------------------------------------------------------------------------------------------------------

FRAGMENTS = [
    "4111111111111111",
    "DE89",
    "3704 ",
    "://",
    "a:b@",
    "eyJ",
    "AKIA",
    "my ",
    "pin ",
    "is ",
    "\n",
    ".",
    "é",
    "[",
]
BLOCK = ["-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----"]
PIECES = st.sampled_from([*(secret for _, secret in UNSTORABLE), *TOLD, *BLOCK, *FRAGMENTS])
TEXTS = st.text() | st.lists(PIECES | st.text(max_size=3), max_size=8).map("".join)


@given(TEXTS)
@example("DE89 3704 0044 0532 0130 00 " * 3)
def test_any_text_has_secrets_within_it_and_none_that_is_unstorable_once_redacted(text: str) -> None:
    for secret in find(text):
        assert 0 <= secret.start < secret.end <= len(text)
    left = redact(text)
    assert redact(left) == left
    assert all(secret.storable for secret in find(left))
    if all(secret.storable for secret in find(text)):
        assert left == text


@pytest.mark.parametrize("piece", ["eyJ-", "a://", "://a:", "AB12 ", "my password ", "4 ", ". ", "\n", "aws", "T/B"])
def test_no_text_makes_the_search_slow(piece: str) -> None:
    text = piece * ((1 << 18) // len(piece))
    start = time.monotonic()
    redact(text)
    find(text)
    assert time.monotonic() - start < 8  # a pattern that looks to the end from every place takes far longer


def test_importing_loads_no_library() -> None:
    code = "import sys, edgesleep.secrets; print(*{'detect_secrets', 'requests', 'stdnum'} & sys.modules.keys())"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == ""


def test_a_megabyte_of_keys_is_taken_out_in_moments() -> None:
    began = time.thread_time()
    assert redact("AKIA" * 262_144).count("[redacted: api key]") == 52_428
    assert time.thread_time() - began < 10, "cut out one by one they take half a minute"


@pytest.mark.parametrize("key", ["AIza" + "A" * 34 + "1", "npm_" + "A" * 35 + "1"])
def test_secrets_that_uncover_each_other_without_end_go_as_a_whole(key: str) -> None:
    """Each is seen once the one before it is gone: a megabyte took hours."""
    assert redact(f"my 4111111111111111{key} is") == "my [redacted: card number][redacted: api key] is"
    began = time.thread_time()
    assert redact(f"4111111111111111{key}" * 4_000) == "[redacted: secrets]"
    assert time.thread_time() - began < 20
