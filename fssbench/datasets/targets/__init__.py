"""The target sets of cross-domain few-shot segmentation."""
