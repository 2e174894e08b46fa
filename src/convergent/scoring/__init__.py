"""Scores of labelled populations: assemblies become bare arrays, and scores get labels."""
