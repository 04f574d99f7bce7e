"""Fetching data sets: where each comes from, what is here, archives, and photos one by one."""
