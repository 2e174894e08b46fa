"""Networks: torch models, extraction of their activations, and training of small ones."""
