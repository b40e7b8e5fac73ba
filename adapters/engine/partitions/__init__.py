"""Which partitions are ours, and what is alive in them."""
