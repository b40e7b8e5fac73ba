"""Being told of what happens: waiting, watching, subscribing."""
