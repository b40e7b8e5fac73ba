"""What runners and engines say to each other: claims and reports, signs of life, and what is told to stop."""
