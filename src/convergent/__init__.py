"""Compare networks with brains, and networks with networks."""
