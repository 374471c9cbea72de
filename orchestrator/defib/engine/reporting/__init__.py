"""Reports: when they are due, and the numbers they are made of."""
