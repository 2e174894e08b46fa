"""Aggregation, reliability, ceilings and inference, on bare arrays."""
