"""From the runs of one command to their folders and tables."""
