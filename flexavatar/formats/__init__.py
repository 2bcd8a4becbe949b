"""Files of others: pictures with EXIF, videos, sound, packed Gaussians."""
