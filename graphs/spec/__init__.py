"""What a workflow is: frozen models of everything an author can declare."""

from stretto.graphs.spec.base import Model, StepId, Version
from stretto.graphs.spec.policy import Budget, Cache, Fallback, OnError, OtherAgent, Policy, Retry
from stretto.graphs.spec.step import (
    Approval,
    Branch,
    Case,
    Compensate,
    Http,
    Join,
    Kind,
    Loop,
    Map,
    Select,
    SelectRule,
    Step,
)
from stretto.graphs.spec.transform import (
    AggregateTransform,
    FilterTransform,
    MapTransform,
    Transform,
)
from stretto.graphs.spec.trigger import AtTrigger, CronTrigger, EventTrigger, Trigger
from stretto.graphs.spec.workflow import Mode, Priority, Workflow

__all__ = [
    "AggregateTransform",
    "Approval",
    "AtTrigger",
    "Branch",
    "Budget",
    "Cache",
    "Case",
    "Compensate",
    "CronTrigger",
    "EventTrigger",
    "Fallback",
    "FilterTransform",
    "Http",
    "Join",
    "Kind",
    "Loop",
    "Map",
    "MapTransform",
    "Mode",
    "Model",
    "OnError",
    "OtherAgent",
    "Policy",
    "Priority",
    "Retry",
    "Select",
    "SelectRule",
    "Step",
    "StepId",
    "Transform",
    "Trigger",
    "Version",
    "Workflow",
]
