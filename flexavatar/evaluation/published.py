"""What the two papers that share our name report: lines to look at beside ours.

Their data sets cannot be had here, and their measures have other definitions: LPIPS with learned
weights, CSIM by another network, AED and APD of other codes.
"""

from __future__ import annotations

from flexavatar.evaluation.report import PublishedResult

P = "Peng et al., CVPR 2026"
K = "Kirschstein et al."


def _result(paper: str, what: str, data: str, **figures: float) -> PublishedResult:
    source = f"{data}: other data and measures than ours"
    return PublishedResult(f"{paper}, {what}", figures, source)


SELF = (
    _result(P, "feed-forward", "NeRSemble", psnr=21.15, ssim=0.8335, lpips=0.2193, csim=0.8490),
    _result(P, "refined", "NeRSemble", psnr=22.63, ssim=0.8491, lpips=0.1833, csim=0.8532),
    _result(
        K, "self", "VFHQ",
        psnr=23.47, ssim=0.837, lpips=0.099, csim=0.830, aed=0.075, apd=0.010, akd=2.965,
    ),
    _result(
        K, "monocular", "NeRSemble",
        psnr=20.9, ssim=0.830, lpips=0.156, csim=0.827, akd=3.80, jod=6.08,
    ),
)  # fmt: skip
CROSS = (
    _result(P, "feed-forward", "NeRSemble", csim=0.8501, aed=3.6415),
    _result(P, "refined", "NeRSemble", csim=0.8549, aed=3.5879),
    _result(K, "cross", "VFHQ", csim=0.663, aed=0.223, apd=0.026),
)
VIEWS = (
    _result(K, "one image", "Ava-256", psnr=16.9, ssim=0.762, lpips=0.265, csim=0.695, akd=5.52),
    _result(K, "four images", "Ava-256", psnr=21.1, ssim=0.733, lpips=0.218, csim=0.755, akd=5.39),
)
