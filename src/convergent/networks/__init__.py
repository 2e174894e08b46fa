"""Networks: the only place of torch models."""
