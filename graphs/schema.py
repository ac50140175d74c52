"""The JSON Schema of a workflow document, for editors, models and other programs."""

from typing import Any

from stretto.graphs.inputs import TYPES
from stretto.graphs.spec import Workflow

_TEXTS: dict[str, dict[str, str]] = {
    "Workflow": {
        "name": "What the workflow is called; its slug is the id in commands, URLs and references.",
        "version": "Three numbers; several versions live side by side.",
        "description": "What it is for, in a sentence.",
        "inputs": "A JSON Schema of the input, or keys with a type word or a schema each.",
        "context": "Defaults of the context that agents see; the caller's is merged over them.",
        "priority": "More urgent work goes first.",
        "mode": "How steps compete for slots.",
        "max_parallel_steps": "How many steps run at once at most.",
        "timeout": "Deadline of the whole run.",
        "budget": "Limits of the whole run tree.",
        "max_total_retries": "How many repeated calls the whole run may make.",
        "defaults": "For every step that does not say otherwise.",
        "steps": "What is done; steps that do not need each other run at the same time.",
        "output": "A template of the run's output; the outputs of the last steps if left out.",
        "save_output": "A file below the configured root that the output is written to.",
        "on_failure": "Steps that run when the run fails, after the compensations.",
        "fallback_workflow": "The workflow that runs instead when this one fails.",
        "triggers": "What starts the workflow besides a call.",
    },
    "Step": {
        "id": "Unique among the steps beside it; expressions use it for the step's output.",
        "description": "What the step is for.",
        "depends_on": "Ids of the steps that have to end first.",
        "input_from": "The steps whose outputs the agent gets as its input; they are needed too.",
        "output_to": "A second name for the output.",
        "join": "Which of the needed steps must have succeeded: all, any, or none (done).",
        "when": "A CEL condition; when it is false the step is skipped.",
        "agent": "The agent that is asked.",
        "capability": "Any agent that offers this is asked.",
        "select": "Choose the agent by rules on the input, or by load.",
        "action": "Which method or prompt of the agent is wanted.",
        "params": "What the agent is told; `${...}` in texts is replaced.",
        "stream": "What the step's tokens are to whoever watches.",
        "estimated_duration": "How long it takes, until the engine knows better.",
        "transform": "What is done to the output, in order.",
        "compensate": "What undoes the step when the run fails later.",
        "loop": "Repeat steps until a condition holds.",
        "branch": "Choose one case by a value.",
        "map": "Do the same for each item of a list.",
        "workflow": "The workflow to run as this step: name or name@version.",
        "approval": "Ask a person.",
        "http": "Make one HTTP request.",
        "input": "What a sub-workflow or a transformation is given.",
        "retry": "How often a failing call is tried; a number means calls in all.",
        "timeout": "Deadline of one attempt.",
        "cache": "How long an output serves again; true keeps it until the cache is cleared.",
        "on_error": "What happens when the step fails for good.",
    },
}


def workflow_schema() -> dict[str, Any]:
    """Give the JSON Schema (draft 2020-12) of a workflow as people write it.

    It has the canonical keys and the short forms: ``retry: 3``, ``cache: 1h``, one transform
    without a list, one name in ``depends_on``, and type words under ``inputs``.
    """
    schema = Workflow.model_json_schema(by_alias=True)
    definitions: dict[str, Any] = schema["$defs"]
    for definition in (schema, *definitions.values()):
        _shorten(definition.get("properties", {}))
    _describe(schema["properties"], _TEXTS["Workflow"])
    _describe(definitions["Step"]["properties"], _TEXTS["Step"])
    schema["properties"]["inputs"] = _inputs(schema["properties"]["inputs"])
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _describe(properties: dict[str, Any], texts: dict[str, str]) -> None:
    for key, text in texts.items():
        properties[key].setdefault("description", text)


def _shorten(properties: dict[str, Any]) -> None:
    """Add the short forms wherever the long ones are allowed."""
    short: dict[str, dict[str, Any]] = {
        "retry": {"type": "integer", "minimum": 0},
        "cache": {"type": ["string", "number", "boolean"]},
        "depends_on": {"type": "string"},
        "transform": {"type": "object"},
    }
    for key, form in short.items():
        if key in properties and _is_long(properties[key]):
            long = properties[key]
            kept = {name: long.pop(name) for name in ("default", "description") if name in long}
            properties[key] = {"anyOf": [*long.get("anyOf", [long]), form], **kept}


def _is_long(declared: dict[str, Any]) -> bool:
    return "anyOf" in declared or "$ref" in declared or declared.get("type") == "array"


def _inputs(declared: dict[str, Any]) -> dict[str, Any]:
    words = "|".join(TYPES)
    short = {"type": "string", "pattern": rf"^({words})\??$"}
    properties = {"anyOf": [short, {"type": ["object", "array", "boolean", "string"]}]}
    return {**declared, "additionalProperties": properties}
