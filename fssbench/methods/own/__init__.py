"""Methods of one's own: `--method ./my.py:MyNet`, a class or a function in a file or an importable module."""
