"""What is looked at, when, and what it is judged to be."""
