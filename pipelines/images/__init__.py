"""Images: folders, formats, decoding, preprocessing and augmentation."""
