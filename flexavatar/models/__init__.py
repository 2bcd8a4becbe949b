"""Networks only: they know tensors, no photos and no avatars."""
