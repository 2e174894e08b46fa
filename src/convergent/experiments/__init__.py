"""Experiments between networks: layers, steps of training, distorted stimuli."""
