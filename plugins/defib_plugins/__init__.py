"""Built-in monitors (what is watched) and receivers (who reports to us): one module per plugin."""
