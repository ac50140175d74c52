"""Whether somebody listens at the endpoint of a model."""

import asyncio
import os
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from stretto.forbidding import is_allowed

SECONDS = 2.0
"""How long a connection may take to be opened, the look-up of its name included."""
PORTS = {"http": 80, "https": 443}


async def why_unreachable(url: str) -> str | None:
    """Open a connection to an endpoint and close it again, without a request.

    What goes through a proxy is not tried, and nothing is while calls of real models are forbidden.

    Args:
        url: the endpoint, as a model was opened with it.

    Returns:
        Why it cannot be reached and what to do, in one sentence; None if it can be, as far as is
        known.

    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or PORTS.get(parts.scheme)
    except ValueError:  # of a model that was not opened by name; its own client judges it
        return None
    if not host or not port or not is_allowed(url) or _has_proxy(parts.scheme, host):
        return None
    try:
        async with asyncio.timeout(SECONDS):
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        reason = f"no connection within {SECONDS:g} s"
    except OSError as error:
        reason = error.strerror or str(error)
    else:
        writer.close()
        return None
    shown = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    return (
        f"the model endpoint {shown} cannot be reached ({reason}); start the service, or correct"
        ' base_url in [stretto.models."NAME"] or OPENAI_BASE_URL'
    )


def _has_proxy(scheme: str, host: str) -> bool:
    proxies = getproxies()
    named = proxies.get(scheme) or proxies.get("all")
    # OPENAI_PROXY is the proxy of the models alone, and knows no exceptions.
    return bool(os.environ.get("OPENAI_PROXY") or (named and not proxy_bypass(host)))
