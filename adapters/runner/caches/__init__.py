"""Where the tasks of a job keep bytes for each other."""
