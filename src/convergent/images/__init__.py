"""Images that are made or changed."""
