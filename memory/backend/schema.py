"""Which payload fields are indexed, the same in the embedded engine and on a server.

Every index makes a flush longer (1.5 ms measured), so only what narrows a search much, orders or
is counted by has one; a filter on any other field works without.
"""

COLLECTION = "stretto_memory"
TENANT = "tenant"
KEYWORDS = (
    "ns_path",
    "ns_prefixes",
    "ns_suffixes",
    "stretto",
    "key",
    "parent",
    "kind",
    "subject",
    "episode_id",
    "run_id",
    TENANT,
    "user",
    "thread",
    "content_hash",
)
FLOATS = ("updated_at", "valid_to", "expires_at", "position")
SPARSE = ("lex", "lex_ep")
DENSE = "dense"
