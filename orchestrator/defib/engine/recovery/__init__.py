"""Recovery cases, from the fault to the verified repair."""
