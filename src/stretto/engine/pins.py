"""What a run is pinned to: its workflow and all that it uses, as they were when it began."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from stretto.errors import WorkflowInvalid
from stretto.graphs.compile import references_of
from stretto.graphs.spec import Workflow

Find = Callable[[str], Workflow]


@dataclass(frozen=True, slots=True)
class Pin:
    """A workflow with those that it uses."""

    workflow: Workflow
    uses: Mapping[str, Workflow]
    """The workflows that it uses, directly or not, by reference."""
    otherwise: Find
    """Says what is wrong with a reference to nothing."""
    digest: str = field(init=False)
    """That of the workflow where it uses no other; else one of all of them together."""

    def __post_init__(self) -> None:
        """Make the digest."""
        digest = self.workflow.digest
        if self.uses:
            text = json.dumps([digest, self.references], sort_keys=True)
            digest = hashlib.sha256(text.encode()).hexdigest()
        object.__setattr__(self, "digest", digest)

    @property
    def references(self) -> dict[str, str]:
        """The digests of the workflows that it uses, by reference."""
        return {reference: used.digest for reference, used in self.uses.items()}

    def find(self, reference: str) -> Workflow:
        """Give a workflow that it uses.

        Raises:
            WorkflowInvalid: there was none of that name.

        """
        used = self.uses.get(reference)
        return self.otherwise(reference) if used is None else used


def pin_of(workflow: Workflow, find: Find) -> Pin:
    """Pin a workflow to what it uses now; a reference to nothing is left for its validation.

    Args:
        workflow: what is to run.
        find: finds workflows that are used as steps.

    """
    uses: dict[str, Workflow] = {}
    waiting = references_of(workflow)
    while waiting:
        reference = waiting.pop()
        if reference in uses:
            continue
        try:
            uses[reference] = find(reference)
        except WorkflowInvalid:
            continue
        waiting += references_of(uses[reference])
    return Pin(workflow, uses, find)
