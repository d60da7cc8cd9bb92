"""Where a model looks: scores of attention heads, and what is lost without them."""
