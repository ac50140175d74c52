"""Steps that are one HTTP request."""

from collections.abc import Mapping
from typing import Any

from stretto.agents.agent import FunctionAgent, Task
from stretto.agents.http import TIMEOUT_SECONDS, send_request
from stretto.agents.registry import RegisteredAgent
from stretto.agents.selection import Pick
from stretto.errors import StepFailed
from stretto.graphs.attempts import ANY_HOST, Attempts, Result, host_of
from stretto.graphs.call import StepCall, Work
from stretto.graphs.expressions import ExpressionError, Names, compile_expression
from stretto.graphs.names import ANSWER
from stretto.graphs.plan import StepPlan
from stretto.graphs.spec import Http
from stretto.graphs.templates import compile_template


def http_work(plan: StepPlan, http: Http) -> Work:
    """Send one request; its retries and deadline are those of an agent call."""
    request = compile_template(
        {
            "url": http.url,
            "headers": http.headers,
            "query": http.query,
            "json": http.json_,
            "body": http.body,
        },
        plan.declared,
    )
    # What a run fills into a header must not choose a secret.
    fixed = [name for name, text in http.headers.items() if "${" not in text]
    select = None if http.select is None else selector(http.select)

    async def send(task: Task) -> Any:
        answer = await send_request(
            method=http.method,
            allow_private=http.allow_private,
            max_bytes=http.max_bytes,
            timeout=plan.policy.timeout or TIMEOUT_SECONDS,
            expect=http.expect,
            secret_headers=fixed,
            **task.params,
        )
        return answer if select is None else select(answer)

    name = client_name(http.url)
    client = RegisteredAgent(name, frozenset(), 100, FunctionAgent(send, name=name))

    async def run(call: StepCall) -> Result:
        task = Task(params=call.render(request), run_id=call.scope.run["id"])
        return await Attempts(call, (client,), task).run()

    return run


def client_name(url: str) -> str:
    """Name who calls a URL: each host has slots and a breaker of its own, as far as it is known.

    Args:
        url: as it is declared, perhaps with ``${...}`` in it.

    """
    known, template, _ = url.partition("${")
    whole = not template or "/" in known.partition("://")[2]
    host = host_of(known) if whole else ""
    return f"{ANY_HOST} {host}" if host else ANY_HOST


def selector(text: str) -> Pick:
    """Compile what is wanted of an answer; an ``HttpAgent`` takes it as its ``select``.

    Args:
        text: CEL over ``status``, ``headers`` and ``body``.

    Returns:
        A function of an answer; it raises StepFailed (``http_select_failed``) when the answer has
        nothing of the kind.

    Raises:
        ExpressionError: it is no CEL, or uses other names.

    """
    expression = compile_expression(text, ANSWER)

    def select(answer: Mapping[str, Any]) -> Any:
        try:
            return expression.evaluate(Names(answer, {}, {}))
        except ExpressionError as error:
            message = f"the answer is not as expected, {text}: {error.message}"
            raise StepFailed(message, code="http_select_failed") from error

    return select
