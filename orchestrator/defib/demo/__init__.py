"""``defib demo``: a little world of agents that break, watched and healed by an ordinary ``defib serve``."""
