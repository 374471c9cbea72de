"""Defib watches heartbeats and restarts hearts: health checks with verified auto-recovery."""

__version__ = "0.1.0"
