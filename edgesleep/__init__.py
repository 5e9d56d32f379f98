"""edgesleep: a local language model that learns from your day while you sleep.

Importing the package loads neither torch nor llama.cpp.
"""

__version__ = "0.1.0"
