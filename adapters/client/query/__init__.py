"""Jobs by what they are, and what projectors are asked."""
