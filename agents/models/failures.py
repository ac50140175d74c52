"""Failures of model calls in a few codes, each with one sentence that says where and what to do."""

import re
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import httpx2
from langchain_core.exceptions import ModelConnectionError, ModelTimeoutError
from pydantic import SecretStr

from stretto.agents.http import RETRYABLE, retry_after_seconds
from stretto.agents.secrets import SHORTEST_HIDDEN
from stretto.agents.transport import shown
from stretto.errors import StepFailed, StrettoError

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

_UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, RecursionError)
"""What client libraries raise over answers that are not what they expect."""
_STATUS_OF_WORD = {
    "invalid_api_key": 401,
    "authentication": 401,
    "permission": 403,
    "not_found": 404,
    "rate_limit": 429,
    "overloaded": 529,
    "invalid_request": 400,
}
"""Statuses by what the type or code of an error contains that came without one."""
_ENDINGS = {
    "LengthFinishReasonError": (
        "The model's answer reached the length limit; raise it or ask for less.",
        "truncated_answer",
    ),
    "ContentFilterFinishReasonError": (
        "The model's provider withheld the answer; change what is asked.",
        "filtered_answer",
    ),
}
"""What OpenAI's library raises over a structured answer that is not whole."""
_LONGEST_QUOTE = 300


class ModelFailed(StepFailed):
    """A model's service could not be reached, refused, or gave an answer that cannot be used."""

    code = "model_unavailable"

    def __init__(
        self,
        message: str,
        *,
        code: str,
        retryable: bool,
        status_code: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        """Keep the HTTP status, and the seconds the service asks to wait before the next call."""
        super().__init__(message, code=code, retryable=retryable)
        self.status_code = status_code
        self.retry_after = retry_after


@contextmanager
def model_failures(model: "BaseChatModel") -> Generator[None]:
    """Translate what a call of ``model`` raises inside the block.

    Raises:
        ModelFailed: see ``translated``.

    """
    try:
        yield
    except StrettoError:
        raise
    except Exception as error:
        failure = translated(error, model)
        if failure is None:
            raise
        raise failure from error


def translated(error: Exception, model: "BaseChatModel") -> ModelFailed | None:
    """Say in one sentence why a call of a model failed; its key is never part of it.

    Args:
        error: what the call raised, of any of LangChain's providers.
        model: what was called.

    Returns:
        None when the error is no failure of a model call. Else a failure with one of the codes
        ``model_unauthorized`` (401, 403), ``model_rejected`` (other 4xx), ``rate_limited`` (429),
        ``model_unavailable`` (408, 409, 425, 5xx, no connection), ``model_timed_out``,
        ``bad_answer`` (it cannot be read), ``truncated_answer`` or ``filtered_answer``.
        Those of codes 408, 409, 425, 429 and 5xx, ``model_timed_out``, ``bad_answer`` and a lost
        connection may be tried again.

    """
    if (ended := _ENDINGS.get(type(error).__name__)) is not None:
        return ModelFailed(ended[0], code=ended[1], retryable=False)
    source = _Source.of(error, model)
    status = _status_of(error)
    if status is not None and status >= 400:
        return _refused(error, status, source)
    if isinstance(error, ModelTimeoutError | TimeoutError | httpx2.TimeoutException):
        message = f"{source.place} did not answer in time."
        return ModelFailed(message, code="model_timed_out", retryable=True)
    if isinstance(error, ModelConnectionError | ConnectionError | httpx2.TransportError):
        message = f"The connection to {source.place} failed: {source.quoted(_root_of(error))}"
        return ModelFailed(message, code="model_unavailable", retryable=True)
    if isinstance(error, _UNREADABLE) or status is not None:
        what = source.quoted(f"{type(error).__name__}: {error}")
        message = f"The answer of {source.place} cannot be read: {what}"
        return ModelFailed(message, code="bad_answer", retryable=True)
    return None


def _refused(error: Exception, status: int, source: "_Source") -> ModelFailed:
    told = _told_by(error)
    detail = source.quoted(str(told.get("message") or error))
    where = f"{source.place} (status {status}: {detail})"
    retryable = status in RETRYABLE or status >= 500
    if status in (401, 403):
        code = "model_unauthorized"
        message = f"The key was refused by {where}; set {source.key_name} to one it accepts."
    elif status == 429:
        code, message = "rate_limited", f"No more calls are taken for now by {where}."
        retryable = told.get("code") != "insufficient_quota"
    elif retryable:
        code, message = "model_unavailable", f"No answer can be had for now from {where}."
    else:
        code = "model_rejected"
        message = f"The request was rejected by {where}; check the model's name and what is asked."
    return ModelFailed(
        message,
        code=code,
        retryable=retryable,
        status_code=status,
        retry_after=_wait_asked_by(error),
    )


def _status_of(error: Exception) -> int | None:
    """Give the HTTP status of an error, also of one that came inside an answer of status 200."""
    for holder in (error, getattr(error, "response", None)):
        status: Any = getattr(holder, "status_code", None)
        if isinstance(status, int):
            return status
    told = _told_by(error)
    if not told:
        return None
    code = str(told.get("code"))
    if re.fullmatch("[45][0-9]{2}", code):
        return int(code)
    words = f"{code} {told.get('type')}".lower()
    return next((status for word, status in _STATUS_OF_WORD.items() if word in words), 500)


def _told_by(error: Exception) -> Mapping[str, Any]:
    """Give what the service itself said about an error."""
    body: Any = getattr(error, "body", None)
    if isinstance(error, ValueError):
        body = error.args[0] if error.args else None  # so LangChain passes it on
    if isinstance(body, dict):
        return cast("dict[str, Any]", body)
    return {"message": body} if body and not isinstance(error, ValueError) else {}


def _wait_asked_by(error: Exception) -> float | None:
    headers: Any = getattr(getattr(error, "response", None), "headers", None)
    return retry_after_seconds(headers.get("retry-after"), datetime.now(UTC)) if headers else None


def _root_of(error: BaseException) -> str:
    seen = {id(error)}  # causes may go round in a circle
    while (cause := error.__cause__) is not None and id(cause) not in seen:
        seen.add(id(cause))
        error = cause
    return str(error) or type(error).__name__


class _Source(NamedTuple):
    """Where a failure comes from, as far as it may be told."""

    place: str
    key_name: str
    secrets: tuple[str, ...]

    @classmethod
    def of(cls, error: Exception, model: "BaseChatModel") -> "_Source":
        request: Any = vars(error).get("request")
        url = getattr(model, "openai_api_base", None) or getattr(request, "url", None)
        values = [v.get_secret_value() for v in vars(model).values() if isinstance(v, SecretStr)]
        headers: Mapping[str, str] = getattr(model, "default_headers", None) or {}
        words = (word for text in headers.values() for word in text.split())
        values += [word for word in words if len(word) >= SHORTEST_HIDDEN]
        return cls(
            shown(httpx2.URL(str(url))) if url else "the model's service",
            next(iter(model.lc_secrets.values()), "its key"),
            tuple(sorted(filter(None, values), key=len, reverse=True)),
        )

    def quoted(self, text: str) -> str:
        """Give the beginning of a foreign text on one line, without secrets."""
        for secret in self.secrets:
            text = re.sub(re.escape(secret), "***", text, flags=re.IGNORECASE)
        return " ".join(text.split())[:_LONGEST_QUOTE]
