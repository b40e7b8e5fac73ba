"""Audit: exporting the log as a bundle, checkpoints of it, and verifying bundle, live log and a stopped server's store."""
