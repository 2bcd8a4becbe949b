"""Photos and videos to portraits: frames, landmarks, crops, mattes, the head tracked in them."""
