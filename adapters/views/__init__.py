"""Views across jobs: kept by a process of their own, asked over NATS.

A *projector* (`run`) follows the log from where its view stands, folds it into rows (`projections.jobs`) and saves
them with the position they belong to, in one transaction. Views are kept in SQLite or PostgreSQL (`store`); each can be
dropped at any time and comes back the same. Who asks (`service`) may name a position of the log: the answer is then
not older than that, so that everybody sees at least what they did themselves.
"""
