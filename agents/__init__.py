"""Who does the work: agents, the registry that knows them, and the dispatch that shares them."""
