"""What a model is compared with: regressors and classifiers that learn from the context."""
