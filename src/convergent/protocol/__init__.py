"""Settings that decide a number: folds, resamples, protocol."""
