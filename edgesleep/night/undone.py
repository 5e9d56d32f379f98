"""Undone: words under which what a clause speaks of has not been, is not sure or is over.

Owns the one guard of the rules that search a sentence's text rather than its parse. Leaves parsed verbs to `verbs`.
Must stay true: in doubt a text is held to be undone, so that no rule teaches what was not told.
"""

from __future__ import annotations

import re

_UNDONE = re.compile(
    r"n't\b|'d\b|'ll\b|\?|\b(?:not|never|no|neither|nor|without|hardly|barely|almost|nearly|maybe|perhaps|possibly"
    r"|probably|supposedly|if|unless|whether|might|may|can|could|would|should|will|must|used to|going to|about to"
    r"|think|thinks|thought|thinking (?:of|to|I|we)|believes?|believed|guess|doubt\w*|claim\w*|pretend\w*|imagin\w*"
    r"|dream\w*|dreamt|jok(?:e|es|ed|ing)|wish\w*|hop(?:e|es|ed|ing)|wants?|wanted|wanting|needs?|needed|plans?|planned"
    r"|planning|consider\w*|start(?:ing)?|begin(?:ning)?|ask\w*|said|says?|told|quit\w*|stop\w*|gave up|giving up"
    r"|cancel\w*|miss(?:ed|ing|es)?|skip\w*|postpone\w*|resched\w*|return(?:ed|ing|s)?|sold|sell(?:ing)?|lost|gave"
    r"|giv(?:e|ing)|lent|refund\w*|former|old)\b",
    re.IGNORECASE,
)


def is_undone(text: str) -> bool:
    """Whether a text denies, doubts, supposes, plans or takes back something."""
    return bool(_UNDONE.search(text))
