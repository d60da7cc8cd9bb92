"""The best there can be: predictors that know how tasks were drawn, at every position, and how far a model is off."""
