"""The border between labels and arrays: assemblies in, labelled scores out."""
