"""Steps that hold steps: subgraphs with real conditional edges, and one step from outside."""
