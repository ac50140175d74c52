"""What agents know from earlier runs and conversations, and how they keep what is new."""
