"""Power failures, simulated: what is acknowledged is on the disk. See `docs/reliability.md` for the disk they are simulated on."""
