"""Durable jobs and workflows whose only truth is an event log."""
