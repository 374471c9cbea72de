"""Built-in polling presets, fault detectors and recovery actions."""
