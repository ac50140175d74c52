"""A clock that a test moves forward, so that nobody waits for a deadline."""

import asyncio
from datetime import datetime
from importlib.util import find_spec
from math import inf
from typing import Any, Self

from stretto.errors import ConfigurationError

MOST_TIMERS = 10_000
"""How many timers one ``advance`` stops at; it goes past the rest in one jump."""
MOST_TURNS = 1000
"""How many turns of the event loop a timer's consequences are given."""


class FakeClock:
    """Moves the wall clock and the timers of the event loop, as a context manager.

    Time goes on by itself, and ``advance`` makes it jump. Two clocks are moved: the wall clock in
    all its forms (``time.time``, ``datetime.now``, ...), as ``time-machine`` does it; and the time
    of the running asyncio loop, and with it ``asyncio.sleep``, ``asyncio.timeout`` and
    ``loop.call_later``. Not moved are ``time.monotonic`` and ``time.perf_counter``, so durations
    stay what was measured; ``time.sleep``; the clocks of databases, services and other processes.

    Leaving it gives the wall clock back. The loop's time never goes back, and stays where it is.
    """

    def __init__(self, start: datetime | str | float | None = None) -> None:
        """Set the time at which it starts.

        Args:
            start: a time with its zone, in ISO form, or in seconds since the epoch; now if None.

        Raises:
            ConfigurationError: ``time-machine`` is not installed.

        """
        if find_spec("time_machine") is None:
            raise ConfigurationError("FakeClock needs time-machine: pip install 'stretto[testing]'")
        import time_machine

        self._travel = time_machine.travel(start, tick=True)
        self._traveller: time_machine.Traveller | None = None

    def __enter__(self) -> Self:
        """Take over the wall clock."""
        self._traveller = self._travel.start()
        return self

    def __exit__(self, *exc: object) -> None:
        """Give the wall clock back."""
        self._traveller = None
        self._travel.stop()

    async def advance(self, seconds: float) -> None:
        """Move time forward; timers that come due on the way go off at their time, in order.

        Advance when what is to be waited for waits, for example after ``agent.called()`` or an
        event of the run: a timer that is set later counts from then. That holds as well for timers
        that are set behind a thread or a file on the way.

        Args:
            seconds: how far.

        Raises:
            ConfigurationError: the clock is not in use, or the loop is not one of asyncio.
            ValueError: time would go back, or on without an end.

        """
        if not 0 <= seconds < inf:
            raise ValueError(f"time goes forward, not by {seconds:g} s")
        if self._traveller is None:
            raise ConfigurationError("enter the clock first: 'with FakeClock() as clock:'")
        time = _LoopTime.of(asyncio.get_running_loop())
        end = time.shift + seconds
        for _ in range(MOST_TIMERS):
            await _settle(time.loop)
            due = time.next_timer()
            if due is None or time.shift + due > end:
                break
            self._jump(time, due)
        self._jump(time, end - time.shift)
        await _settle(time.loop)

    def _jump(self, time: "_LoopTime", seconds: float) -> None:
        if seconds > 0 and self._traveller is not None:
            self._traveller.shift(float(seconds))
            time.shift += seconds


class _LoopTime:
    """The time of one event loop, with a shift."""

    def __init__(self, loop: Any) -> None:
        """Take the place of the loop's own ``time``."""
        self.loop = loop
        self.shift = 0.0
        self._real = loop.time
        loop.time = self

    @classmethod
    def of(cls, loop: Any) -> "_LoopTime":
        if not isinstance(loop, asyncio.BaseEventLoop):  # uvloop asks nobody for the time
            kind = type(loop).__module__
            raise ConfigurationError(f"FakeClock moves the event loops of asyncio, not of {kind}")
        return loop.time if isinstance(loop.time, cls) else cls(loop)

    def __call__(self) -> float:
        return float(self._real()) + self.shift

    def next_timer(self) -> float | None:
        """Give the seconds until the loop's next timer goes off; None without one."""
        timers = (timer for timer in self.loop._scheduled if not timer.cancelled())
        due = min((timer.when() for timer in timers), default=None)
        return None if due is None else max(due - self(), 0.0)


async def _settle(loop: Any) -> None:
    """Give everybody a turn until nobody has anything to do but to wait."""
    for _ in range(MOST_TURNS):
        await asyncio.sleep(0)
        if not loop._ready:
            return
