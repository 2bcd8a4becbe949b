"""FlexAvatar: a few photos in, a living 3D Gaussian head out."""

import os

# Threads that wait by spinning halve the speed of everything beside them when cores are shared, as
# they are when an avatar is made while others are driven. Has to be set before torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
