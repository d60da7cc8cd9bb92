"""Trained runs as estimators of scikit-learn: they learn from the examples that they are fitted to, in context."""
