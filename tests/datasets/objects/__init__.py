"""Tests of data sets that are listed object by object."""
