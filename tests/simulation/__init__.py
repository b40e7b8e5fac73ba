"""The system in one thread, on a clock and a network that are made up, from a seed."""
