//! Images in, batches out: folders, decoding, torchvision-compatible augmentation, seeded parallel loading.
