"""The shell around the rules: it waits, probes, commits, acts and tells."""
