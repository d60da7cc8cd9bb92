"""From an item to its vector: the encoders, and what the ResNet is made of."""
