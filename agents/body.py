"""The body of an HTTP answer: read up to a limit, then decoded by its content type."""

import json
import zlib
from contextlib import aclosing
from typing import Any

import httpx2

from stretto.agents.transport import shown
from stretto.errors import StepFailed


async def read_body(response: httpx2.Response, max_bytes: int) -> bytes:
    """Collect the body of an answer, decompressing no more of it than is accepted.

    Args:
        response: an answer opened for streaming.
        max_bytes: the longest body accepted, in bytes after decompression.

    Raises:
        StepFailed: the body is too long (``http_body_too_large``) or cannot be decompressed.

    """
    coding = response.headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("identity", "gzip", "deflate", ""):
        raise _broken(response, f"is encoded as {coding[:20]!r}; only gzip and deflate are read")
    unpack = zlib.decompressobj(wbits=47) if coding in ("gzip", "deflate") else None
    content, started = bytearray(), False
    async with aclosing(response.aiter_raw()) as chunks:
        async for chunk in chunks:
            started = True
            try:
                room = max_bytes + 1 - len(content)
                content += unpack.decompress(chunk, room) if unpack else chunk
            except zlib.error:
                raise _broken(response, f"is not valid {coding}") from None
            if len(content) > max_bytes:
                raise _broken(response, f"is longer than {max_bytes} bytes", "http_body_too_large")
            if unpack and unpack.unused_data:  # it would be held without a bound, and told nobody
                raise _broken(response, f"goes on behind the end of its {coding}")
    if unpack and started and not unpack.eof:
        raise _broken(response, f"is not complete {coding}")
    return bytes(content)


def decode_body(response: httpx2.Response, content: bytes) -> Any:
    """Give a body as JSON when its content type says so (None when empty), else as text.

    Raises:
        StepFailed: code ``http_body_invalid`` when it is called JSON but is not.

    """
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json" or kind.endswith("+json"):
        try:
            return json.loads(content, parse_constant=_no_json) if content else None
        except (ValueError, RecursionError):
            raise _broken(response, f"is called {kind} but is no JSON") from None
    charset = response.charset_encoding or "utf-8"
    try:
        if charset.lower() == "punycode":  # of names; Python 3.13 decodes any bytes to nothing
            charset = "utf-8"
        return content.decode(charset, errors="replace")
    except (LookupError, UnicodeError):  # unknown, or no charset of texts
        return content.decode("utf-8", errors="replace")


def _no_json(constant: str) -> Any:
    raise ValueError(constant)


def _broken(response: httpx2.Response, what: str, code: str = "http_body_invalid") -> StepFailed:
    return StepFailed(f"the answer of {shown(response.request.url)} {what}", code=code)
