"""Product image generation with deep learning: a small PyTorch package that the book is written around."""

__version__ = "0.1.0"
