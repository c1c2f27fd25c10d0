"""Progress of a benchmark."""

import sys


def say(sentence: str) -> None:
    """Progress goes to standard error: standard output ends with the result."""
    print(sentence, file=sys.stderr, flush=True)
