"""Draws with shaders in SPIR-V on whatever Vulkan there is: `python vulkan_draw.py FOLDER`.

In the folder: vertex.spv, fragment.spv, plan.json (width, height, vertices, instances and the
names of the buffers by their binding; the first is uniform). Writes picture.bin, float16 RGBA.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import wgpu  # type: ignore[import-not-found]

PIXEL_BYTES = 8
OVER = {"src_factor": "one", "dst_factor": "one-minus-src-alpha", "operation": "add"}


def bindings(device: Any, folder: Path, names: Sequence[str]) -> tuple[Any, Any]:
    """Buffers of files: their layout, their group."""
    usages = [wgpu.BufferUsage.UNIFORM, *[wgpu.BufferUsage.STORAGE] * (len(names) - 1)]
    kinds = ["uniform", *["read-only-storage"] * (len(names) - 1)]
    entries = [
        {
            "binding": i,
            "visibility": wgpu.ShaderStage.VERTEX | wgpu.ShaderStage.FRAGMENT,
            "buffer": {"type": kind},
        }
        for i, kind in enumerate(kinds)
    ]
    layout = device.create_bind_group_layout(entries=entries)
    buffers = [
        device.create_buffer_with_data(data=(folder / name).read_bytes(), usage=usage)
        for name, usage in zip(names, usages, strict=True)
    ]
    bound = [{"binding": i, "resource": {"buffer": buffer}} for i, buffer in enumerate(buffers)]
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
        fragment={"module": fragment, "entry_point": "Fragment", "targets": [target]},
    )


def draw(folder: Path, plan: Mapping[str, Any]) -> bytes:
    """The picture, rows from the top."""
    device = wgpu.gpu.request_adapter_sync(power_preference="low-power").request_device_sync()
    size = (plan["width"], plan["height"], 1)
    usage = wgpu.TextureUsage.RENDER_ATTACHMENT | wgpu.TextureUsage.COPY_SRC
    texture = device.create_texture(size=size, format="rgba16float", usage=usage)
    layout, group = bindings(device, folder, plan["buffers"])
    encoder = device.create_command_encoder()
    attachment = {
        "view": texture.create_view(),
        "clear_value": (0, 0, 0, 0),
        "load_op": "clear",
        "store_op": "store",
    }
    render = encoder.begin_render_pass(color_attachments=[attachment])
    render.set_pipeline(pipeline(device, folder, layout))
    render.set_bind_group(0, group)
    render.draw(plan["vertices"], plan["instances"])
    render.end()
    device.queue.submit([encoder.finish()])
    rows = {"offset": 0, "bytes_per_row": PIXEL_BYTES * plan["width"]}
    source = {"texture": texture, "mip_level": 0, "origin": (0, 0, 0)}
    return bytes(device.queue.read_texture(source, rows, size))


if __name__ == "__main__":
    where = Path(sys.argv[1])
    (where / "picture.bin").write_bytes(draw(where, json.loads((where / "plan.json").read_text())))
