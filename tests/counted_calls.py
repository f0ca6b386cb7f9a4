"""How much work something is, counted in calls of Python functions: the same however busy the machine is."""

import sys
from contextlib import contextmanager


class TooManyCallsError(AssertionError):
    """More calls than were allowed."""


@contextmanager
def at_most_calls(most):
    """Raises TooManyCallsError at the call after `most`, so that what would take for ever ends, too."""
    made = 0

    def count(_frame, event, _argument):
        nonlocal made
        made += event == "call"
        if made > most:
            sys.setprofile(None)
            raise TooManyCallsError(f"more than {most} calls")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        yield lambda: made
    finally:
        sys.setprofile(before)
