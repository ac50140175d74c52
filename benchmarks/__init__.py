"""What Stretto costs: measured in one run, against plain LangGraph and a bare asyncio scheduler."""
