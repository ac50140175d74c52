"""What agents are told: prompts as Markdown files that name the values they need."""

from stretto.prompts.front_matter import ModelHints
from stretto.prompts.loading import load_prompt, prompt_from_text, prompt_names
from stretto.prompts.prompt import Prompt

__all__ = ["ModelHints", "Prompt", "load_prompt", "prompt_from_text", "prompt_names"]
