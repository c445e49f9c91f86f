"""Waiting for a condition with a deadline. Nothing in these tests sleeps for luck."""

import os
import time

# Sanitizers and busy machines are slow: every deadline is multiplied by this.
PATIENCE = float(os.environ.get("JAMSOCKET_TEST_PATIENCE", "1"))


def until(condition, seconds=10.0, what=None, every=0.01):
    """Polls `condition` until it returns something true, and returns that."""
    deadline = time.monotonic() + seconds * PATIENCE
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"did not happen within {seconds} s: {what() if callable(what) else what or condition}")
        time.sleep(every)
