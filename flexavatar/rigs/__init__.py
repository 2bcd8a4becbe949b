"""Other people's rigs: FLAME files, ICT-FaceKit, and driving an avatar through them."""
