"""Ids, second names, and what steps say they need."""

from collections import Counter
from collections.abc import Iterator

from stretto.errors import Fault
from stretto.graphs.names import RESERVED, nearest
from stretto.graphs.paths import join
from stretto.graphs.scopes import Scope
from stretto.graphs.spec import Step
from stretto.graphs.topology import find_cycles


def name_faults(scope: Scope) -> Iterator[Fault]:
    """Check the names within one scope.

    Args:
        scope: steps that stand beside each other.

    """
    yield from _duplicates(scope)
    for index, step in enumerate(scope.steps):
        path = join(scope.path, index)
        yield from _reserved(path, step)
        yield from _needs(path, step, scope)
    yield from _cycles(scope)


def _duplicates(scope: Scope) -> Iterator[Fault]:
    ids = Counter(step.id for step in scope.steps)
    seen: set[str] = set()
    outputs: set[str] = set()
    for index, step in enumerate(scope.steps):
        path = join(scope.path, index)
        if step.id in seen:
            message = f"The id '{step.id}' is used {ids[step.id]} times; ids are unique."
            yield Fault(join(path, "id"), "duplicate_id", message)
        seen.add(step.id)
        name = step.output_to
        if name and name != step.id and (name in ids or name in outputs):
            what = "id" if name in ids else "`output_to`"
            message = f"'{name}' is the {what} of another step already; choose another name."
            yield Fault(join(path, "output_to"), "duplicate_output", message)
        outputs.update({name} if name else ())


def _reserved(path: str, step: Step) -> Iterator[Fault]:
    named = [("id", step.id), ("output_to", step.output_to)]
    if step.map and step.map.as_ != "item":
        named.append(("map.as", step.map.as_))
    for key, name in named:
        if name in RESERVED:
            message = f"'{name}' has a meaning in expressions; choose another name."
            yield Fault(f"{path}.{key}", "reserved_name", message)
    if step.id.startswith("__"):
        message = (
            f"'{step.id}' begins with two underscores, as LangGraph's own names do; drop them."
        )
        yield Fault(f"{path}.id", "reserved_name", message)


def _needs(path: str, step: Step, scope: Scope) -> Iterator[Fault]:
    wanted = [(join(path, "depends_on", i), name) for i, name in enumerate(step.depends_on)]
    source = join(path, "input_from")
    if isinstance(step.input_from, str):
        wanted.append((source, step.input_from))
    elif step.input_from:
        wanted += [(join(source, i), name) for i, name in enumerate(step.input_from)]
    own = {step.id, step.output_to}
    for at, name in wanted:
        if name in own:
            message = f"The step '{step.id}' needs itself; take '{name}' out."
            yield Fault(at, "self_dependency", message)
        elif name not in scope.own_names and (name != "input" or not at.startswith(source)):
            yield _unknown(at, name, scope)


def _unknown(path: str, name: str, scope: Scope) -> Fault:
    hint = nearest(name, scope.own_names)
    if name in scope.outer_names:
        message = (
            f"'{name}' stands outside this container, which waits for it already; take it out here."
        )
    else:
        message = f"There is no step '{name}' beside this one."
    return Fault(
        path, "unknown_step", message, nearest=hint, allowed=tuple(sorted(scope.own_names))
    )


def _cycles(scope: Scope) -> Iterator[Fault]:
    position = {step.id: index for index, step in reversed(list(enumerate(scope.steps)))}
    for circle in find_cycles(scope.steps):
        if len(circle) > 2:
            # A step needs what comes after it; people read in the order in which steps run.
            shown = " -> ".join(reversed(circle))
            message = f"These steps wait for each other: {shown}. Take one `depends_on` out."
            yield Fault(join(scope.path, position[circle[0]], "depends_on"), "cycle", message)
