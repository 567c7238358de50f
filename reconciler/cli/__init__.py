"""The command line: parses, prints, and gives exit codes. It decides nothing."""
