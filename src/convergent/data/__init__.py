"""Labels and files: assemblies, stimuli, data sets."""
