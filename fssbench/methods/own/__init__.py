"""Methods that are named by their code: `--method ./my.py:MyNet`, a class or function in a file or a module."""
