"""The publisher of the feed: follows the log, and keeps a stream of one CloudEvent after the other for other services."""
