"""Cross-domain evaluation: a data set with the folds of another one."""
