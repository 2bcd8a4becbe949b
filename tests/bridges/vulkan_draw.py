"""Draws with shaders in SPIR-V on whatever Vulkan there is: `python vulkan_draw.py FOLDER`.

In the folder: vertex.spv, fragment.spv, plan.json (width, height, vertices, instances and the
names of the files by their binding: the first is uniform, others are storage, unless `textures`
gives them a format; a name that is empty is a sampler). Writes picture.bin, float16 RGBA, and
depth.bin, float32, as the shader left them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import wgpu  # pyright: ignore[reportMissingImports]: comes with the fetched tools

OVER = {"src_factor": "one", "dst_factor": "one-minus-src-alpha", "operation": "add"}


def texture_of(device: Any, plan: Mapping[str, Any], format: str, data: bytes) -> Any:
    """A picture of the plan's size to sample from."""
    size = (plan["width"], plan["height"], 1)
    usage = wgpu.TextureUsage.TEXTURE_BINDING | wgpu.TextureUsage.COPY_DST
    texture = device.create_texture(size=size, format=format, usage=usage)
    rows = {"offset": 0, "bytes_per_row": len(data) // plan["height"]}
    device.queue.write_texture({"texture": texture}, data, rows, size)
    return texture.create_view()


def resource(device: Any, folder: Path, plan: Mapping[str, Any], binding: int) -> tuple[Any, Any]:
    """What is bound there: how it is described, and itself."""
    name = plan["bindings"][binding]
    if not name:
        return {"sampler": {"type": "filtering"}}, device.create_sampler(mag_filter="linear")
    data = (folder / name).read_bytes()
    format = plan.get("textures", {}).get(name)
    if format is not None:
        kind = "unfilterable-float" if format == "r32float" else "float"
        return {"texture": {"sample_type": kind}}, texture_of(device, plan, format, data)
    kind = "read-only-storage" if binding else "uniform"
    usage = wgpu.BufferUsage.STORAGE if binding else wgpu.BufferUsage.UNIFORM
    buffer = device.create_buffer_with_data(data=data, usage=usage)
    return {"buffer": {"type": kind}}, {"buffer": buffer}


def bindings(device: Any, folder: Path, plan: Mapping[str, Any]) -> tuple[Any, Any]:
    """Everything that is bound: its layout, its group."""
    stages = wgpu.ShaderStage.VERTEX | wgpu.ShaderStage.FRAGMENT
    described, bound = [], []
    for binding in range(len(plan["bindings"])):
        kind, what = resource(device, folder, plan, binding)
        described.append({"binding": binding, "visibility": stages, **kind})
        bound.append({"binding": binding, "resource": what})
    layout = device.create_bind_group_layout(entries=described)
    return layout, device.create_bind_group(layout=layout, entries=bound)


def pipeline(device: Any, folder: Path, layout: Any) -> Any:
    """Both shaders, blending premultiplied colours over each other."""
    vertex, fragment = (
        device.create_shader_module(code=(folder / f"{stage}.spv").read_bytes())
        for stage in ("vertex", "fragment")
    )
    target = {"format": "rgba16float", "blend": {"color": OVER, "alpha": OVER}}
    return device.create_render_pipeline(
        layout=device.create_pipeline_layout(bind_group_layouts=[layout]),
        vertex={"module": vertex, "entry_point": "Vertex", "buffers": []},
        primitive={"topology": "triangle-list", "cull_mode": "none"},
        depth_stencil={
            "format": "depth32float",
            "depth_write_enabled": True,
            "depth_compare": "always",
        },
        fragment={"module": fragment, "entry_point": "Fragment", "targets": [target]},
    )


def draw(folder: Path, plan: Mapping[str, Any]) -> tuple[bytes, bytes]:
    """The picture and its depth, rows from the top."""
    device = wgpu.gpu.request_adapter_sync(power_preference="low-power").request_device_sync()
    size = (plan["width"], plan["height"], 1)
    usage = wgpu.TextureUsage.RENDER_ATTACHMENT | wgpu.TextureUsage.COPY_SRC
    picture, depth = (
        device.create_texture(size=size, format=format, usage=usage)
        for format in ("rgba16float", "depth32float")
    )
    layout, group = bindings(device, folder, plan)
    encoder = device.create_command_encoder()
    cleared = {"load_op": "clear", "store_op": "store", "clear_value": (0, 0, 0, 0)}
    render = encoder.begin_render_pass(
        color_attachments=[{"view": picture.create_view(), **cleared}],
        depth_stencil_attachment={
            "view": depth.create_view(),
            "depth_load_op": "clear",
            "depth_store_op": "store",
            "depth_clear_value": 1.0,
        },
    )
    render.set_pipeline(pipeline(device, folder, layout))
    render.set_bind_group(0, group)
    render.draw(plan["vertices"], plan["instances"])
    render.end()
    device.queue.submit([encoder.finish()])
    return read_back(device, picture, 8, size), read_back(device, depth, 4, size)


def read_back(device: Any, texture: Any, pixel_bytes: int, size: tuple[int, int, int]) -> bytes:
    """A texture's bytes."""
    rows = {"offset": 0, "bytes_per_row": pixel_bytes * size[0]}
    source = {"texture": texture, "mip_level": 0, "origin": (0, 0, 0)}
    return bytes(device.queue.read_texture(source, rows, size))


if __name__ == "__main__":
    where = Path(sys.argv[1])
    drawn, depths = draw(where, json.loads((where / "plan.json").read_text()))
    (where / "picture.bin").write_bytes(drawn)
    (where / "depth.bin").write_bytes(depths)
