"""`python -m edgesleep`: the same program as the command `edgesleep`.

Owns nothing; `cli` does.
"""

from edgesleep.cli import main

if __name__ == "__main__":
    main()
