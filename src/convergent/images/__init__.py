"""Images: simulated scenes, drawings with categories, and distortions."""
