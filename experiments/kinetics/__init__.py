"""When a minimal model learns in context, and when in weights (Nguyen and Reddy 2024)."""
