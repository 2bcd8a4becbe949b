"""FlexAvatar: a few photos in, a living 3D Gaussian head out."""

import os

# Threads that wait by spinning halve the speed of everything beside them when cores are shared, as
# they are when an avatar is made while others are driven. NumPy's products are small here, and two
# threads that wait for each other on busy cores take ten times as long. Both have to be set before
# torch and NumPy are imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
