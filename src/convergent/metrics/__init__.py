"""The three metrics, distances and references, on bare arrays."""
