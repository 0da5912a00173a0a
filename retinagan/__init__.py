"""RetinaGAN: colour fundus photographs from diabetic-retinopathy grades and lesion maps."""

__version__ = "0.1.0"
