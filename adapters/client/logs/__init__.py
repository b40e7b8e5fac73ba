"""What the tasks of a job logged and traced."""
