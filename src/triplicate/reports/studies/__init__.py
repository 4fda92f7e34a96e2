"""Pages of studies in Markdown: every published number beside the measured one, from folders of sweeps alone."""
