"""What runners are handed, what they report, and what becomes of it when they are silent."""
