"""Jobs in one process, one task after another, on a clock that is set by hand: for the tests of those who write tasks.

The same decisions, the same fold, the same bytes and the same execution as everywhere else; what is left out is what
makes them concurrent and durable: the engine's event loop, leases, threads, and (unless a server is given) the server.
"""
