"""Forms of retries, caches and transformations."""

from typing import Any

from stretto.graphs.forms.rewriting import Rewrite
from stretto.graphs.paths import join
from stretto.graphs.plaindata import is_list, is_mapping

RETRY = {
    "max_attempts": "attempts",
    "max_retries": "attempts",
    "retries": "attempts",
    "retry_count": "attempts",
    "retry_delay": "delay",
    "initial_delay": "delay",
    "base_delay": "delay",
}
"""Inside ``retry`` and ``retry_config``, and as keys of a step: retries count attempts in all."""
_BESIDE = {"retries": "attempts", "retry_count": "attempts", "retry_delay": "delay"}
_OPERATIONS = {
    "filter": ("criteria", "condition", "filter"),
    "map": ("mapping", "expression", "map"),
    "aggregate": ("aggregate_type", "function", "aggregate"),
}


def take_retry(policy: Rewrite) -> None:
    """Gather all that is said about retries under ``retry``."""
    if "retry" not in policy.data and "retry_config" in policy.data:
        policy.put("retry", policy.data.pop("retry_config"), "retry_config")
    retry = policy.data.get("retry", {})
    path = join(policy.path, "retry")
    if is_mapping(retry):
        source = policy.moved.get(path, join(policy.source, "retry"))
        inner = Rewrite(retry, source, path, policy.moved)
        inner.rename(RETRY)
        gathered = inner.data
    else:
        gathered = {"attempts": retry}
        policy.moved[join(path, "attempts")] = join(policy.source, "retry")
    for alias, key in _BESIDE.items():
        if alias in policy.data and key not in gathered:
            gathered[key] = policy.data.pop(alias)
            policy.moved[join(path, key)] = join(policy.source, alias)
    if gathered.get("attempts") == 0 and not isinstance(gathered["attempts"], bool):
        gathered["attempts"] = 1
    if gathered or "retry" in policy.data:
        policy.data["retry"] = gathered


def take_cache(policy: Rewrite) -> None:
    """Read ``cache: true`` and ``cache: 1h``."""
    cache = policy.data.get("cache")
    if cache is False:
        del policy.data["cache"]
    elif cache is True:
        policy.data["cache"] = {}
    elif isinstance(cache, str | int | float):
        policy.data["cache"] = {"ttl": cache}
        path = join(policy.path, "cache")
        policy.moved[join(path, "ttl")] = join(policy.source, "cache")


def take_transform(step: Rewrite) -> None:
    """Read transformations that name their type, and one that stands without a list."""
    transform = step.data.get("transform")
    if is_mapping(transform):
        path = join(step.path, "transform")
        step.moved[join(path, 0)] = step.moved.get(path, join(step.source, "transform"))
        transform = [transform]
    if is_list(transform):
        step.data["transform"] = [_operation(item) for item in transform]


def _operation(item: Any) -> Any:
    kind = item.get("type") if is_mapping(item) else None
    if not isinstance(kind, str) or kind not in _OPERATIONS:
        return item
    rest = {key: value for key, value in item.items() if key != "type"}
    given = next((rest.pop(key) for key in _OPERATIONS[kind] if key in rest), None)
    field = rest.pop("field", None) if kind == "aggregate" else None
    if isinstance(field, str):
        rest.setdefault("of", f"item.{field}")
    return {kind: given, **rest} if given is not None else {**item}
