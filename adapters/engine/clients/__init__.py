"""What clients ask for, and what they are told."""
