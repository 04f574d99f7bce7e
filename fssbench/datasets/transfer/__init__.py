"""A data set as the training of another one sees it."""
