"""Mean and standard deviation of ImageNet's photos, by which the releases normalise images: RGB, for pixels in 0..1."""

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
