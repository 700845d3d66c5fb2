//! ResNet, MobileNetV2 and EfficientNet in torchvision's parameter names, with backbone and head apart.
