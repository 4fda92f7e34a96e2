"""From values on the command line to jobs: words, axes, rows, the names of run folders, and the launcher's call."""
