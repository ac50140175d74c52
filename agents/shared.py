"""Circuit breakers that several processes share, over Redis.

Each question is one Lua script, so that no two processes count or try at once; every key expires.
"""

import itertools
import logging
import time
import uuid
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from stretto.agents.circuit import ORDINARY, Circuit, Outcome, Ticket
from stretto.memory.redis_client import open_redis, shown

if TYPE_CHECKING:
    from redis.asyncio import Redis

ANSWER_SECONDS = 0.25
AWAY_SECONDS = 5.0
"""How long Redis is left alone once it failed."""
FORGET_SECONDS = 3600.0
"""After so long without a failure or trial, the failures of a circuit are forgotten."""
logger = logging.getLogger(__name__)

_ADMIT = """
local failures = tonumber(redis.call('GET', KEYS[1]) or 0)
if failures < tonumber(ARGV[1]) then return {failures, 0, 0} end
if redis.call('SET', KEYS[2], ARGV[3], 'NX', 'PX', ARGV[2]) then
    return {failures, tonumber(ARGV[2]), 1}
end
return {failures, math.max(redis.call('PTTL', KEYS[2]), 1), 2}
"""
"""Gives the failures, milliseconds until the next trial, and 0 closed, 1 a trial, 2 refused."""
_REPORT = """
local failures = tonumber(redis.call('GET', KEYS[1]) or 0)
local tripped, trial = failures >= tonumber(ARGV[1]), ARGV[3] ~= ''
if ARGV[4] == 'neither' then
    if trial and redis.call('GET', KEYS[2]) == ARGV[3] then redis.call('DEL', KEYS[2]) end
elseif trial or not tripped then
    if ARGV[4] == 'succeeded' then
        failures = 0
        redis.call('DEL', KEYS[1], KEYS[2])
    else
        failures = redis.call('INCR', KEYS[1])
        redis.call('PEXPIRE', KEYS[1], ARGV[5])
        if failures >= tonumber(ARGV[1]) then
            redis.call('SET', KEYS[2], 'opened', 'PX', ARGV[2])
        end
    end
end
return {failures, math.max(redis.call('PTTL', KEYS[2]), 0)}
"""
"""Gives the failures and the milliseconds until the next trial."""


@asynccontextmanager
async def open_shared(url: str) -> "AsyncGenerator[SharedCircuits]":
    """Connect to the Redis that shares the state of circuit breakers.

    Args:
        url: ``redis://``, ``rediss://`` or ``unix://``.

    Raises:
        ConfigurationError: the package is missing, or Redis cannot be used.

    """
    async with open_redis(url, ANSWER_SECONDS) as client:
        yield SharedCircuits(client, shown(url))


class SharedCircuits:
    """Keeps the state of circuits in Redis, and goes on with what is known here when it is away.

    A circuit here is a copy of what Redis last said of it.
    """

    def __init__(self, client: "Redis", shown: str) -> None:
        """Share through an open ``client``; ``shown`` is how its address is written in the log."""
        from redis.exceptions import RedisError

        self._failing = (RedisError, OSError)
        self._admit = client.register_script(_ADMIT)
        self._report = client.register_script(_REPORT)
        self._shown = shown
        self._me = uuid.uuid4().hex
        self._numbers = itertools.count(1)
        self._away_until: float | None = None

    async def admit(self, circuit: Circuit) -> Ticket | None:
        """Let a call through, as a trial if the circuit is tripped, or refuse it with None."""
        ticket = f"{self._me} {next(self._numbers)}"
        reply = await self._ask(self._admit, circuit, ticket)
        if reply is None:
            return circuit.admit()
        failures, wait, verdict = reply
        if verdict == 1:
            circuit.trial = ticket
        _copy(circuit, failures, wait)
        return (ORDINARY, ticket, None)[verdict]

    async def report(self, circuit: Circuit, ticket: Ticket, outcome: Outcome) -> None:
        """Take note of how an admitted call ended."""
        forget = round(FORGET_SECONDS * 1000)
        reply = await self._ask(self._report, circuit, ticket, outcome, forget)
        if reply is None:
            circuit.report(ticket, outcome)
            return
        if ticket == circuit.trial:
            circuit.trial = ORDINARY
        _copy(circuit, *reply)

    async def _ask(self, script: Any, circuit: Circuit, *more: Any) -> list[int] | None:
        """Run a script; None when Redis is away, because a breaker must not be what breaks."""
        now = time.monotonic()
        if self._away_until is not None and now < self._away_until:
            return None
        # The braces keep both keys on one node of a cluster.
        keys = [f"stretto:breaker:{{{circuit.key}}}:{part}" for part in ("failures", "window")]
        values = [circuit.threshold, max(round(circuit.reset_after * 1000), 1), *more]
        try:
            reply: list[int] = await script(keys=keys, args=values)
        except self._failing as error:
            if self._away_until is None:
                why = str(error) or type(error).__name__
                told = "Redis at %s failed (%s); circuit breakers are not shared until it is back"
                logger.warning(told, self._shown, why)
            self._away_until = time.monotonic() + AWAY_SECONDS
            return None
        self._away_until = None
        return reply


def _copy(circuit: Circuit, failures: int, wait: int) -> None:
    circuit.failures = failures
    circuit.refuses_until = circuit.clock() + wait / 1000
