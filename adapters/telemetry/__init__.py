"""What tasks log and trace: on its way to the server, kept there for a while, and found again.

None of it is truth. It may be dropped when it cannot be stored as fast as it is written, and it never slows a task or
fails it. What happened to a job is in its log: spans of attempts are derived from there.
"""
