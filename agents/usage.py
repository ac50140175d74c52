"""What model calls cost."""

from dataclasses import dataclass


@dataclass(slots=True)
class Usage:
    """What model calls cost."""

    input_tokens: int = 0
    output_tokens: int = 0
    calls: int = 0
    usd: float = 0.0

    @property
    def tokens(self) -> int:
        """Input and output tokens together."""
        return self.input_tokens + self.output_tokens

    def add(self, other: "Usage") -> None:
        """Add the figures of another record to this one."""
        self.input_tokens += other.input_tokens
        self.output_tokens += other.output_tokens
        self.calls += other.calls
        self.usd += other.usd

    def to_dict(self) -> dict[str, float]:
        """Give the JSON form."""
        return {
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "tokens": self.tokens,
            "calls": self.calls,
            "usd": self.usd,
        }
