"""A chat model without network: extractive, deterministic, and labelled as such."""

from stretto.agents.models.offline.extract import count_tokens, extract_answer
from stretto.agents.models.offline.model import OfflineModel

__all__ = ["OfflineModel", "count_tokens", "extract_answer"]
