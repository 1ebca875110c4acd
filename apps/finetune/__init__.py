"""Classification of photos with a pretrained network."""
