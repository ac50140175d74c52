"""What agents are told: prompts as Markdown files that name the values they need."""

from stretto.prompts.prompt import Prompt, load_prompt, prompt_from_text, prompt_names

__all__ = ["Prompt", "load_prompt", "prompt_from_text", "prompt_names"]
