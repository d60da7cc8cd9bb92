"""Where items come from: drawn, made of numbers, or read from files."""
