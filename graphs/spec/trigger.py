"""What starts a workflow by itself."""

from datetime import datetime
from typing import Any

from pydantic import Field

from stretto.graphs.spec.base import Model


class CronTrigger(Model):
    """Start at the times of a cron text."""

    cron: str
    timezone: str = "UTC"
    input: dict[str, Any] = Field(default_factory=dict)


class AtTrigger(Model):
    """Start once at a point in time."""

    at: datetime
    input: dict[str, Any] = Field(default_factory=dict)


class EventTrigger(Model):
    """Start when an event of this type is published."""

    event: str
    when: str | None = None
    input: dict[str, Any] = Field(default_factory=dict)


Trigger = CronTrigger | AtTrigger | EventTrigger
