"""The target data sets of cross-domain few-shot segmentation."""
