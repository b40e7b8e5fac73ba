"""Stepping in: cancel, retry and delete, one job or many."""
