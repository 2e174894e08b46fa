"""What a number rests on: folds, resamples, settings."""
