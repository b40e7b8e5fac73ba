"""Who may do what on the NATS server: roles, their rights in one table, and the users that are given them."""
