"""What `--help` and `triplicate help …` print: one screen first, then a page for each word that is asked about."""
