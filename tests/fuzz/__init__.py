"""Bytes and values from elsewhere that are not what they should be: the only answer to them is a refusal."""
