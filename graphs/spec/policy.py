"""How a step is carried out: attempts, deadline, cache, and what follows a failure."""

from typing import Any, Literal

from pydantic import Field

from stretto.graphs.durations import Duration
from stretto.graphs.spec.base import Called, Model


class Retry(Model):
    """How often a failing call is tried, and how long to wait in between."""

    attempts: int = Field(
        default=1, ge=1, le=100, description="Calls in all, the first one included."
    )
    backoff: Literal["exponential", "linear", "fixed"] = "exponential"
    delay: Duration = Field(default=1.0, description="Wait before the second call.")
    max_delay: Duration = Field(default=60.0, description="The longest wait between two calls.")
    jitter: bool = Field(
        default=True, description="Spread the waits so that callers do not march in step."
    )


class Cache(Model):
    """How long an output serves again for the same agent, action, params and inputs."""

    ttl: Duration | None = Field(
        default=None, description="None keeps it until the cache is cleared."
    )


class Fallback(Model):
    """The output that stands in for a failed step."""

    fallback: Any


class OtherAgent(Model):
    """The agent that is asked once the step's own has failed."""

    agent: Called


OnError = Literal["fail", "continue"] | Fallback | OtherAgent


class Policy(Model):
    """How a step is carried out; ``defaults`` of a workflow is one, and every step is one too."""

    retry: Retry | None = None
    timeout: Duration | None = Field(default=None, description="Deadline of one attempt.")
    cache: Cache | None = None
    on_error: OnError | None = None


class Budget(Model):
    """Limits of the whole run tree."""

    tokens: int | None = Field(default=None, ge=1)
    usd: float | None = Field(default=None, gt=0)
    model_calls: int | None = Field(default=None, ge=1)
    warn_at: float = Field(
        default=0.8, gt=0, le=1, description="Share of a limit from which on an event warns of it."
    )
