"""The small classifier whose features the metrics measure in."""

from torch import Tensor, nn


class Classifier(nn.Module):
    """A small VGG-style network; its penultimate layer is the feature space of `fid_fmnist` and its kin."""

    def __init__(self, image_size: int = 28, channels: int = 1, width: int = 32, num_classes: int = 10):
        super().__init__()
        self.config = dict(image_size=image_size, channels=channels, width=width, num_classes=num_classes)

        def block(i: int, o: int) -> list[nn.Module]:
            return [nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU()]

        self.body = nn.Sequential(
            *block(channels, width),
            *block(width, width),
            nn.MaxPool2d(2),
            *block(width, 2 * width),
            *block(2 * width, 2 * width),
            nn.MaxPool2d(2),
            *block(2 * width, 4 * width),
            nn.AdaptiveAvgPool2d(3),
            nn.Flatten(),
            nn.Linear(9 * 4 * width, 128),
            nn.ReLU(),
        )
        self.head = nn.Linear(128, num_classes)

    def features(self, x: Tensor) -> Tensor:
        """Images (N, C, H, W) in [-1, 1] -> features (N, 128), never negative."""
        return self.body(x).float()

    def forward(self, x: Tensor) -> Tensor:
        """Images (N, C, H, W) in [-1, 1] -> logits (N, num_classes)."""
        return self.head(self.body(x)).float()
