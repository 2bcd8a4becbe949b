"""The frame path from coefficients to Gaussians, compiled: pose the mesh, move its splats.

`Skinner` poses the vertices and `Deformer` carries the splats along, with the arithmetic of
head.binding. Both prepare once what does not change, and fall back on torch where there is no
compiled library. Any number of threads may use one object: the results live in buffers of the
calling thread, which its next call writes again.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Sequence

import torch
from torch import Tensor

from flexavatar.head.binding import (
    Binding,
    LocalSplats,
    SurfaceMotion,
    deform,
    face_edges,
    identity_like,
    matrix_to_quat,
    polar_rotation,
)
from flexavatar.render import native
from flexavatar.types import check_ids, check_shape

LANES = 8
SKIN_BLOCK = 32  # vertices; as in native/deform.h
FACE_STRIDE = 12
VERTEX_STRIDE = 16
SLIVER = 1e-12
"""Faces below this area, m^2, have no say: as in head.binding."""


def blocks(values: Tensor, size: int) -> Tensor:
    """Items in blocks, field by field, padded with zeros: [N, C] -> [ceil(N / size), C, size]."""
    filled = torch.nn.functional.pad(values, (0, 0, 0, -len(values) % size))
    return filled.unflatten(0, (-1, size)).transpose(1, 2).contiguous()


def faces_around(faces: Tensor, areas: Tensor, vertices: int) -> tuple[Tensor, Tensor, Tensor]:
    """Usable faces around every vertex: start [V + 1], face [M], share of the area [M]."""
    usable = (areas > SLIVER).nonzero().squeeze(1)
    corner = faces[usable].flatten()  # [3 F]
    order = torch.argsort(corner, stable=True)
    face = usable.repeat_interleave(3)[order]
    count = torch.bincount(corner, minlength=vertices)
    total = areas.new_zeros(vertices).index_add_(0, corner[order], areas[face])
    start = torch.cat((count.new_zeros(1), count.cumsum(0)))
    return start.int(), face.int(), (areas[face] / total[corner[order]]).float()


def inverse_edges(template: Tensor, faces: Tensor) -> tuple[Tensor, Tensor]:
    """Inverses of `face_edges` at rest [F, 3, 3], slivers' the identity, and areas [F] in m^2."""
    edges = face_edges(template.double(), faces)
    areas = 0.5 * torch.linalg.cross(edges[..., 0], edges[..., 1]).norm(dim=-1)
    edges = torch.where((areas > SLIVER)[:, None, None], edges, identity_like(edges))
    return torch.linalg.inv(edges).float().contiguous(), areas


class SurfaceTracker:
    """`surface_motion` of one mesh, in torch: what does not change is computed once.

    Every vertex sums over its faces in one order, so that a still face is the same to the bit.
    """

    def __init__(self, template: Tensor, faces: Tensor) -> None:
        """It works where the template [V, 3] is."""
        own, corners = template.detach().cpu(), faces.long().cpu()
        inverses, areas = inverse_edges(own, corners)
        start, face, share = faces_around(corners, areas, len(own))
        count = start.diff()
        place = torch.arange(len(face)) - start[:-1].repeat_interleave(count)
        vertex = torch.arange(len(own)).repeat_interleave(count)
        around = torch.zeros(len(own), int(count.max()), dtype=torch.long)
        shares = torch.zeros(around.shape)
        around[vertex, place], shares[vertex, place] = face.long(), share
        alone = (count == 0).float()[:, None] * torch.eye(3).flatten()  # [V, 9]
        self._faces, self._around = faces, around.to(template.device)
        kept = (inverses, shares[..., None], alone)
        self._inverses, self._shares, self._alone = (x.to(template) for x in kept)

    @classmethod
    def joined(cls, trackers: Sequence[SurfaceTracker], vertices: int) -> SurfaceTracker:
        """Of meshes of so many vertices each, one behind the other."""
        made, count = cls.__new__(cls), len(trackers[0]._faces)
        wide = max(tracker._around.shape[1] for tracker in trackers)
        faces, around, shares = [], [], []
        for i, own in enumerate(trackers):
            missing = wide - own._around.shape[1]
            faces.append(own._faces + i * vertices)
            around.append(torch.nn.functional.pad(own._around, (0, missing)) + i * count)
            shares.append(torch.nn.functional.pad(own._shares, (0, 0, 0, missing)))
        made._faces = torch.cat(faces)
        made._around, made._shares = torch.cat(around), torch.cat(shares)
        made._inverses = torch.cat([t._inverses for t in trackers])
        made._alone = torch.cat([t._alone for t in trackers])
        return made

    def motion(self, vertices: Tensor) -> SurfaceMotion:
        """Of posed vertices [V, 3], in the template's type."""
        per_face = (face_edges(vertices, self._faces) @ self._inverses).flatten(1)  # [F, 9]
        gradients = (per_face[self._around] * self._shares).sum(1) + self._alone
        gradients = gradients.unflatten(1, (3, 3))
        return SurfaceMotion(vertices, gradients, matrix_to_quat(polar_rotation(gradients)))


def posed_input(name: str, x: Tensor, *shape: int) -> Tensor:
    """Contiguous float32 on the CPU, of this shape."""
    check_shape(name, x, *shape)
    return x.detach().to("cpu", torch.float32).contiguous()


class Deformer:
    """Moves splats with a mesh: what `head.binding.deform(surface_motion(...))` computes.

    It works where the template is; compiled on the CPU.
    """

    def __init__(
        self,
        template: Tensor,  # [V, 3] neutral vertices, metres
        faces: Tensor,  # [F, 3]
        binding: Binding,  # N
        splats: LocalSplats,  # N
    ) -> None:
        """Raises InputError if shapes or indices do not fit."""
        count, vertices = len(binding), len(template)
        check_shape("template", template, vertices, 3)
        check_shape("faces", faces, None, 3)
        check_shape("splat offsets", splats.offsets, count, 3)
        check_ids("faces", faces, vertices)
        check_ids("binding", binding.vertex_ids, vertices)
        self.template, self.faces, self.binding, self.splats = template, faces, binding, splats
        self._library = None if template.is_cuda else native.library()
        self._local = threading.local()
        if self._library is None:
            self._surface = SurfaceTracker(template, faces)
            return
        self._kept = self._prepare()
        names = ("corners", "inverses", "start", "face", "weight", "ids", "fields")
        pointers = (self._kept[name].data_ptr() for name in names)
        self._plan = native.DeformPlan(vertices, len(faces), count, *pointers)

    def _prepare(self) -> dict[str, Tensor]:
        """Arrays that stay the same from frame to frame, as native/deform.h wants them."""
        faces = self.faces.long().cpu()
        inverses, areas = inverse_edges(self.template.detach().cpu(), faces)
        start, face, weight = faces_around(faces, areas, len(self.template))
        unit = torch.nn.functional.normalize(self.splats.quats, dim=-1)
        own = (self.binding.bary, self.splats.offsets, unit, self.splats.scales)
        return {
            "corners": faces.int().contiguous(),
            "inverses": inverses,
            "start": start,
            "face": face,
            "weight": weight,
            "ids": blocks(self.binding.vertex_ids.int().cpu(), LANES),
            "fields": blocks(torch.cat([x.detach().float().cpu() for x in own], -1), LANES),
        }

    def _buffers(self) -> tuple[native.DeformOutput, list[Tensor]]:
        """This thread's scratch and results."""
        if not hasattr(self._local, "buffers"):
            widths = (FACE_STRIDE, VERTEX_STRIDE, 3, 4, 3)
            counts = (len(self.faces), len(self.template), *(len(self.binding),) * 3)
            tensors = [torch.empty(n, w) for n, w in zip(counts, widths, strict=True)]
            output = native.DeformOutput(*(x.data_ptr() for x in tensors), None, None)
            self._local.buffers = output, tensors
        return self._local.buffers

    def deform(self, vertices: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Posed vertices [V, 3] to means [N, 3], quats wxyz [N, 4] and scales [N, 3].

        No gradients. The results are this thread's buffers: its next call overwrites them.
        """
        if self._library is None:
            return deform(self.binding, self.splats, self._motion(vertices))
        means, quats, scales = self._run(vertices)[:3]
        return means, quats, scales

    def _motion(self, vertices: Tensor) -> SurfaceMotion:
        check_shape("vertices", vertices, len(self.template), 3)
        return self._surface.motion(vertices.detach().to(self.template))

    def _run(
        self,
        vertices: Tensor,
        changes: native.ChangePlan | None = None,
        change: Tensor | None = None,
    ) -> list[Tensor]:
        """This thread's results, compiled, with what changes the splats first, if anything does."""
        assert self._library is not None
        posed = posed_input("vertices", vertices, len(self.template), 3)
        output, (_, _, *results) = self._buffers()
        plan = None if changes is None else ctypes.byref(changes)
        table = None if change is None else change.data_ptr()
        if self._library.flex_deform(
            ctypes.byref(self._plan), posed.data_ptr(), plan, table, ctypes.byref(output)
        ):
            raise MemoryError("no memory to deform the splats")
        return results


class Skinner:
    """Blendshapes, then linear blend skinning: coefficients and joint transforms to vertices."""

    def __init__(
        self,
        template: Tensor,  # [V, 3] metres
        basis: Tensor,  # [K, V, 3] metres per unit of coefficient
        lbs_weights: Tensor,  # [V, J]
    ) -> None:
        """Raises ShapeError if shapes do not fit."""
        vertices, shapes, joints = len(template), len(basis), lbs_weights.shape[-1]
        check_shape("template", template, vertices, 3)
        check_shape("basis", basis, shapes, vertices, 3)
        check_shape("lbs_weights", lbs_weights, vertices, joints)
        self._sizes = vertices, shapes, joints
        self._library = native.library()
        self._local = threading.local()
        own = (x.detach().float().cpu() for x in (template, basis, lbs_weights))
        self._template, basis, self._weights = own
        self._basis = basis.flatten(1)  # [K, 3 V]
        if self._library is not None:
            by_vertex = basis.transpose(0, 1).flatten(1)  # [V, 3 K]
            self._kept = [blocks(x, SKIN_BLOCK) for x in (self._template, by_vertex, self._weights)]
            del self._basis  # it is large, and the blocks hold it
            pointers = (x.data_ptr() for x in self._kept)
            self._plan = native.SkinPlan(vertices, shapes, joints, *pointers)

    def pose(self, coefficients: Tensor, transforms: Tensor) -> Tensor:
        """Coefficients [K] and joint transforms [J, 4, 4] to vertices [V, 3], metres.

        No gradients. The result is this thread's buffer: its next call overwrites it.
        """
        vertices, shapes, joints = self._sizes
        weights = posed_input("coefficients", coefficients, shapes)
        moves = posed_input("transforms", transforms, joints, 4, 4)
        if self._library is None:
            return self._pose_torch(weights, moves)
        if not hasattr(self._local, "posed"):
            self._local.posed = torch.empty(vertices, 3)
        posed: Tensor = self._local.posed
        if self._library.flex_skin(
            ctypes.byref(self._plan), weights.data_ptr(), moves.data_ptr(), posed.data_ptr()
        ):
            raise MemoryError("no memory to pose the mesh")
        return posed

    def _pose_torch(self, coefficients: Tensor, transforms: Tensor) -> Tensor:
        shaped = self._template + (coefficients @ self._basis).unflatten(0, (-1, 3))
        blended = torch.einsum("vj,jab->vab", self._weights, transforms[:, :3])  # [V, 3, 4]
        return torch.einsum("vab,vb->va", blended[..., :3], shaped) + blended[..., 3]


class SurfaceSampler:
    """Interpolates a vertex field [V, 3] at bound points, each into a row of a table [R, 3]."""

    def __init__(
        self,
        vertices: int,
        binding: Binding,  # T points
        rows: Tensor,  # [T] int64, each once
        count: int,
        gain: float,
    ) -> None:
        """The table has `count` rows, zero but for `rows`; values are multiplied by `gain`.

        It works where the binding is. Raises InputError if shapes or indices do not fit.
        """
        points = len(binding)
        check_shape("rows", rows, points)
        check_ids("binding", binding.vertex_ids, vertices)
        check_ids("rows", rows, count)
        self._vertices, self._count = vertices, count
        self._ids, self._shares, self._rows = binding.vertex_ids, gain * binding.bary.float(), rows
        self._rest = self._shares.new_zeros(count, 3)
        self._local = threading.local()
        self._library = None if rows.is_cuda else native.library()
        if self._library is not None:
            self._kept = (
                blocks(self._ids.int(), LANES),
                blocks(self._shares, LANES),
                rows.int().contiguous(),
            )
            self._plan = native.SamplePlan(points, *(x.data_ptr() for x in self._kept))

    def sample_many(self, fields: Tensor) -> Tensor:
        """The tables of several fields [B, V, 3], in torch: [B, R, 3]."""
        points = torch.einsum("btkc,tk->btc", fields[:, self._ids].float(), self._shares)
        tables = points.new_zeros(len(fields), self._count, 3)
        return tables.index_copy(1, self._rows, points)

    def sample(self, field: Tensor | None) -> Tensor:
        """The table [R, 3] of a field [V, 3]; None is zero everywhere.

        No gradients. The result may be this thread's buffer: its next call overwrites it.
        """
        if field is None:
            return self._rest
        if self._library is None:
            check_shape("field", field, self._vertices, 3)
            points = torch.einsum("tkc,tk->tc", field[self._ids].float(), self._shares)
            return self._rest.index_copy(0, self._rows, points)
        values = posed_input("field", field, self._vertices, 3)
        if not hasattr(self._local, "table"):
            self._local.table = self._rest.clone()
        table: Tensor = self._local.table
        if self._library.flex_sample(ctypes.byref(self._plan), values.data_ptr(), table.data_ptr()):
            raise MemoryError("no memory to sample the surface")
        return table
