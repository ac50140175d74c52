"""HTTP requests that can be sent as they are declared."""

from collections.abc import Iterator
from typing import Any

from stretto.agents.secrets import SECRET
from stretto.agents.urls import SCHEMES, url_problem
from stretto.errors import Fault
from stretto.graphs.paths import join
from stretto.graphs.plaindata import is_list, is_mapping
from stretto.graphs.scopes import Scope
from stretto.graphs.spec import Http
from stretto.graphs.templates import SECRET as REFERENCE


def request_faults(scope: Scope) -> Iterator[Fault]:
    """Check the HTTP requests of a scope.

    Args:
        scope: steps that stand beside each other.

    """
    for index, step in enumerate(scope.steps):
        if step.http is not None:
            path = join(scope.path, index, "http")
            yield from _url(path, step.http)
            yield from _secrets(path, step.http)
            if step.http.json_ is not None and step.http.body is not None:
                message = "A request has one body; keep `json` or `body`."
                yield Fault(join(path, "body"), "conflicting_keys", message)


def _url(path: str, http: Http) -> Iterator[Fault]:
    known, template, _ = http.url.partition("${")
    problem = url_problem(http.url) if not template else _problem_so_far(known)
    if problem is not None:
        message = f"The url {problem}."
        yield Fault(join(path, "url"), "bad_url", message, allowed=SCHEMES)


def _problem_so_far(known: str) -> str | None:
    """Judge what stands before the first ``${`` of a URL."""
    _, found, rest = known.partition("://")
    if found and "/" in rest:
        return url_problem(known)
    beginnings = [f"{scheme}://" for scheme in SCHEMES]
    begun = any(known.lower().startswith(b) or b.startswith(known.lower()) for b in beginnings)
    return None if begun else "must begin with http:// or https://"


def _secrets(path: str, http: Http) -> Iterator[Fault]:
    for key in ("url", "query", "json_", "body"):
        for at, _ in _with_secret(getattr(http, key), join(path, key.strip("_"))):
            message = "Secrets are filled in where they are headers, and nowhere else."
            yield Fault(at, "bad_secret", message)
    for at, text in _with_secret(http.headers, join(path, "headers")):
        if "${" in text:
            message = "A header with a secret takes no `${...}`; make two headers of it."
            yield Fault(at, "bad_secret", message)
        elif REFERENCE in SECRET.sub("", text):
            message = "Name the secret by letters, digits and '_': secret://NAME."
            yield Fault(at, "bad_secret", message)


def _with_secret(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Give the texts of a tree that speak of a secret, with their paths."""
    if isinstance(value, str):
        if REFERENCE in value:
            yield path, value
    elif is_mapping(value):
        for key, item in value.items():
            yield from _with_secret(item, join(path, str(key)))
    elif is_list(value):
        for index, item in enumerate(value):
            yield from _with_secret(item, join(path, index))
