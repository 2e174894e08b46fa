"""The findings of "Bridging Critical Gaps in Convergent Learning", tested on small networks."""
