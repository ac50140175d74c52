"""URLs as they are written down, judged before anything is sent."""

from urllib.parse import urlsplit

SCHEMES = ("http", "https")
LAST_PORT = 65535


def url_problem(url: str) -> str | None:
    """Say what keeps a URL from ever being reached; None when nothing is known to.

    What is judged here is the text alone. Where the name leads is known only when it is looked up,
    and the transport judges that.

    Args:
        url: a URL, or the beginning of one that goes at least to the end of its host.

    """
    try:
        parts = urlsplit(url)
        host, user = parts.hostname, parts.username
    except ValueError:
        return "is not valid"
    if parts.scheme not in SCHEMES:
        return "must begin with http:// or https://"
    if user is not None:
        return "carries a user name; put credentials into a header"
    if not host:
        return "names no host"
    try:
        _ = parts.port
    except ValueError:
        return f"names a port that is no number from 0 to {LAST_PORT}"
    return None
