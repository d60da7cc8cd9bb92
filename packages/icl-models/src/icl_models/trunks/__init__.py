"""What runs over the tokens: Transformer, recurrent networks, MLP."""
