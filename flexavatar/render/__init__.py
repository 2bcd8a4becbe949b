"""Gaussians to pixels: C++ on the CPU, gsplat on CUDA, a reference in PyTorch; meshes and light."""
