"""The findings of "Bridging Critical Gaps in Convergent Learning", tried on small networks."""
