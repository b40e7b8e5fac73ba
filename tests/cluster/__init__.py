"""Three servers that hold everything together, and several engines: what goes on when any of them dies."""
