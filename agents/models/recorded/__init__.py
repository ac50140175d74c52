"""Chat models whose calls are recorded to a file once and replayed from it afterwards."""

from stretto.agents.models.recorded.model import RecordedModel, open_recorded
from stretto.agents.models.recorded.tape import NotRecorded

__all__ = ["NotRecorded", "RecordedModel", "open_recorded"]
