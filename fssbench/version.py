"""The version of fssbench, apart from the package's face so that every module can name it."""

__version__ = "0.2.0"
