"""What the image is made of and how it runs, without a container engine."""
