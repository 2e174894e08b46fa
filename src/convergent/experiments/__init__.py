"""What the papers did, on populations of one's own."""
