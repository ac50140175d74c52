"""A web service as an agent: one request for each task."""

from collections.abc import Collection, Mapping
from functools import partial
from typing import Any

from stretto.agents.agent import Agent, Task
from stretto.agents.http import MAX_BYTES, TIMEOUT_SECONDS, send_request
from stretto.agents.secrets import Resolve
from stretto.agents.selection import Pick, pick, picker
from stretto.agents.skills import skills
from stretto.agents.urls import url_problem
from stretto.errors import ConfigurationError

WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
WITHOUT_BODY = frozenset({"GET", "HEAD", "DELETE"})


class HttpAgent(Agent):
    """A web service that steps call like any other agent.

    The params of the task are the JSON body of the request, or its query where the method has no
    body. The URL and the headers are the deployment's own: no value of a workflow gets into them.
    """

    def __init__(
        self,
        name: str,
        url: str,
        method: str = "POST",
        *,
        headers: Mapping[str, str] | None = None,
        select: Pick | str | None = None,
        capabilities: frozenset[str] | set[str] = frozenset(),
        max_concurrent_tasks: int = 5,
        allow_private: bool = False,
        max_bytes: int = MAX_BYTES,
        timeout: float = TIMEOUT_SECONDS,
        expect: Collection[int] | None = None,
        resolve_secret: Resolve | None = None,
    ) -> None:
        """Describe the service; nothing is sent yet.

        Args:
            name: how steps call it.
            url: where it is, ``http`` or ``https``.
            method: GET, HEAD, DELETE, POST, PUT or PATCH.
            headers: sent with every request; ``secret://NAME`` is filled in when it is sent.
            select: what of the answer is the output: a path such as ``body.data.items[0].name``, or
                a function of the answer; all of it if None.
            capabilities: what the service can do.
            max_concurrent_tasks: how many requests are under way at once.
            allow_private: let requests reach addresses that are not public.
            max_bytes: the longest body accepted, in bytes after decompression.
            timeout: seconds until everything is there; a step's own ``timeout`` counts too.
            expect: the statuses that are no failure; all below 400 if None.
            resolve_secret: gives a secret by name or raises KeyError; the environment if None.

        Raises:
            ConfigurationError: the URL, the method or ``select`` cannot be used.

        """
        if method not in WITH_BODY | WITHOUT_BODY:
            allowed = ", ".join(sorted(WITH_BODY | WITHOUT_BODY))
            raise ConfigurationError(f"agent '{name}': '{method}' is no method; use {allowed}")
        if (problem := url_problem(url)) is not None:
            raise ConfigurationError(f"agent '{name}': the url {problem}")
        self.name = name
        self.capabilities = skills(capabilities, self.name)
        self.max_concurrent_tasks = max_concurrent_tasks
        self._method = method
        self._select = _picker(name, select)
        self._headers = dict(headers or {})
        self._send = partial(
            send_request,
            method=method,
            url=url,
            allow_private=allow_private,
            max_bytes=max_bytes,
            timeout=timeout,
            expect=expect,
            resolve_secret=resolve_secret,
        )

    async def run(self, task: Task) -> Any:
        """Send one task to the service and give its answer, or what is picked out of it.

        Raises:
            StepFailed: as ``send_request``, or what is wanted is not in the answer
                (``http_select_failed``).

        """
        given = dict(task.params)
        headers = self._headers
        if self._method not in ("GET", "HEAD") and task.idempotency_key:
            headers = {"Idempotency-Key": task.idempotency_key, **headers}
        if self._method in WITH_BODY:
            answer = await self._send(headers=headers, json=given)
        else:
            answer = await self._send(headers=headers, query=given)
        return answer if self._select is None else pick(self._select, answer)


def _picker(name: str, select: Any) -> Pick | None:
    if isinstance(select, str):
        try:
            return picker(select)
        except ConfigurationError as error:
            raise ConfigurationError(f"agent '{name}': {error}") from None
    if select is not None and not callable(select):
        raise ConfigurationError(f"agent '{name}': select is a path or a function, not {select!r}")
    function: Pick | None = select
    return function
