"""Data: labelled responses, stimuli, and the files and cards they come from."""
