"""By day: what reads and writes the journal while its person works.

Meets the night only in journal.db and the generation store.
"""
