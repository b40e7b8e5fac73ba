"""Chaos: real processes that are killed, stopped and cut off while jobs run, and a reckoning of the whole log afterwards."""
