"""Commands in JSON: what a program without this package asks of jobs, over plain NATS requests.

`requests` and `replies` are the words, `problems` what can go wrong, `operations` what is done, `service` where it is
asked for. The description for other programs, docs/commands.md, is checked against these.
"""
