"""Steps that are one HTTP request."""

from typing import Any

from stretto.agents.agent import FunctionAgent, Task
from stretto.agents.http import send_request
from stretto.agents.registry import RegisteredAgent
from stretto.graphs.attempts import Attempts, Result
from stretto.graphs.call import StepCall, Work
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

    async def send(task: Task) -> Any:
        return await send_request(
            method=http.method, allow_private=http.allow_private, **task.params
        )

    client = RegisteredAgent("http", frozenset(), 100, FunctionAgent(send, name="http"))

    async def run(call: StepCall) -> Result:
        task = Task(params=call.render(request), run_id=call.scope.run["id"])
        return await Attempts(call, (client,), task).run()

    return run
