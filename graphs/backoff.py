"""How long to wait before the next attempt."""

from typing import Any

import tenacity

from stretto.graphs.causes import retry_after
from stretto.graphs.spec import Retry


def wait_before_retry(retry: Retry, state: tenacity.RetryCallState) -> float:
    """Give the seconds to wait after a failed attempt.

    Exponential backoff doubles the delay with every attempt, linear adds it; jitter adds up to a
    quarter. A server's Retry-After is honoured, and nothing waits longer than ``max_delay``.
    """
    waits: dict[str, Any] = {
        "exponential": tenacity.wait_exponential(multiplier=retry.delay, max=retry.max_delay),
        "linear": tenacity.wait_incrementing(retry.delay, retry.delay, retry.max_delay),
        "fixed": tenacity.wait_fixed(retry.delay),
    }
    wait: float = waits[retry.backoff](state)
    if retry.jitter:
        wait += tenacity.wait_random(0, wait / 4)(state)
    error = state.outcome.exception() if state.outcome else None
    asked = retry_after(error) if error else None
    return min(max(wait, asked or 0.0), retry.max_delay)
