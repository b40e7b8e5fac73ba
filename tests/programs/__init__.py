"""Programs as users of Tilebox Workflows write them, run on a real server and held to what its documentation says."""
