"""HOW FAST: our figures beside those of whatever peer is installed, measured in one run."""
