"""Agents on other hosts: who they are, how they do, and what they do for us."""
