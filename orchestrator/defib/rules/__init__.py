"""The pure rules: values and ``now`` in, values and a reason out. No I/O, no clock, no randomness."""
