"""From the command line to a plan of what will be done; without torch."""
