"""Why two numbers differ: what a number is of (meaning.py), and what each choice is worth (worth.py, causes.py)."""
