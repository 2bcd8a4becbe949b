"""Avatars that change with their expression: the fast path, what it leaves alone, the file."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from flexavatar.avatar.avatar import Animator, Avatar, load_avatar, save_avatar
from flexavatar.avatar.compiled_unet import CompiledUNet, add_border, can_compile
from flexavatar.avatar.expression_network import Dynamics, fold_texel_major
from flexavatar.avatar.uv_maps import NeutralSplats, apply_change, drive_map, upsample_change
from flexavatar.errors import AssetError, InputError, ShapeError
from flexavatar.head.arkit import arkit_to_flame
from flexavatar.head.arkit_fit import load_arkit_basis
from flexavatar.head.binding import LocalSplats, deform, surface_motion
from flexavatar.head.open_head import load_open_head
from flexavatar.models import weights
from flexavatar.models.query_lrm import DynamicUNet, QueryLrm
from flexavatar.render import native
from flexavatar.render.deform import Deformer
from flexavatar.types import SH_C0, FlameCodes, Gaussians
from tests.dynamic import CONFIG, PRESET, dynamic_avatar, install_network, layout

TURNED = torch.tensor([0.1, 0.3, -0.05])  # radians


def expression(**arkit: float) -> FlameCodes:
    """With the neck turned and the head moved aside."""
    codes = arkit_to_flame(arkit, load_arkit_basis(load_open_head()))
    return replace(codes, neck_pose=TURNED, global_orient=-TURNED, transl=0.1 * TURNED)


GRIN = {"jawOpen": 0.6, "mouthSmileLeft": 0.8, "eyeBlinkRight": 0.9}


@pytest.fixture(params=["compiled", "torch"])
def path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the library and without."""
    if request.param == "torch":
        monkeypatch.setattr(native, "library", lambda: None)
    elif native.library() is None:
        pytest.skip("needs the compiled library, and there is no C++ compiler")


@pytest.fixture
def avatar_with(
    path: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[[float], Avatar]:
    """An avatar whose network's last layer is noise of this deviation."""
    return lambda noise: dynamic_avatar(install_network(monkeypatch, tmp_path, noise))


def change_at_texels(avatar: Avatar, moves: Tensor) -> Tensor:
    """dG at the changing splats by the network as it was trained: [D, 14]."""
    assert avatar.dynamic is not None
    model, _ = weights.load_query_lrm(PRESET)
    person = model.unet.person_features(avatar.dynamic.identity[None])
    change = model.unet.change(person, drive_map(moves, layout())[None])
    return upsample_change(change, layout())[0].flatten(1)[:, avatar.dynamic.cells].T


def expected(animator: Animator, codes: FlameCodes) -> Gaussians:
    """By uv_maps.apply_change and head.binding, in float64 but for the network; the same lids."""
    avatar, head = animator.avatar, animator.head
    assert avatar.dynamic is not None
    ids = avatar.dynamic.splats
    zero = torch.zeros(3)
    still = replace(codes, neck_pose=zero, global_orient=zero, transl=zero)
    moves = head.pose(avatar.neutral, still).vertices - avatar.neutral
    local = {name: x.double() for name, x in vars(avatar.splats).items()}
    opacities, sh = avatar.opacities.double(), avatar.sh.double()
    colors = (0.5 + SH_C0 * sh[ids, 0]).clamp(0, 1)
    before = NeutralSplats(
        LocalSplats(**{k: x[ids] for k, x in local.items()}), opacities[ids], colors
    )
    after = apply_change(before, change_at_texels(avatar, moves).double())
    for name, x in vars(after.local).items():
        local[name][ids] = x
    opacities[ids] = after.opacities
    sh[ids, 0] += (after.colors - colors) / SH_C0
    posed = head.pose(avatar.neutral, codes).vertices
    motion = surface_motion(avatar.neutral.double(), posed.double(), head.faces)
    binding = replace(avatar.binding, bary=avatar.binding.bary.double())
    moved = deform(binding, LocalSplats(**local), motion)
    return Gaussians(*moved, animator._fold_with_lids(opacities.float(), posed).double(), sh)


def test_fast_path_agrees_with_the_model(avatar_with: Callable[[float], Avatar]) -> None:
    avatar = avatar_with(0.05)
    with torch.inference_mode():
        animator = Animator(avatar)
        found = animator.animate(expression(**GRIN))
        wanted = expected(animator, expression(**GRIN))
        plain = Animator(replace(avatar, dynamic=None)).animate(expression(**GRIN))
    # float32 through the network and where triangles are slivers; splats are of millimetres
    tolerances = {"means": 2e-6, "quats": 1e-4, "scales": 2e-6, "opacities": 1e-5, "sh": 1e-4}
    for name, tolerance in tolerances.items():
        ours, theirs = getattr(found, name), getattr(wanted, name)
        torch.testing.assert_close(ours.double(), theirs, rtol=0, atol=tolerance, msg=name)
        assert (getattr(plain, name) - ours).abs().max() > 100 * tolerance, name


def test_only_the_named_numbers_change(avatar_with: Callable[[float], Avatar]) -> None:
    avatar = avatar_with(0.05)
    assert avatar.dynamic is not None
    some = replace(avatar, dynamic=replace(avatar.dynamic, channels=("color", "opacity")))
    with torch.inference_mode():
        whole, part, plain = (
            Animator(x).animate(expression(**GRIN))
            for x in (avatar, some, replace(avatar, dynamic=None))
        )
    for name in ("means", "quats", "scales"):  # float32 of another loop than the plain one's
        torch.testing.assert_close(getattr(part, name), getattr(plain, name), rtol=0, atol=1e-6)
    for name in ("sh", "opacities"):
        torch.testing.assert_close(getattr(part, name), getattr(whole, name), rtol=0, atol=1e-5)
        assert (getattr(part, name) - getattr(plain, name)).abs().max() > 0.01, name
    with pytest.raises(InputError, match=r"channels: expected some of position.*'colour'"):
        replace(avatar.dynamic, channels=("colour",))


@pytest.mark.parametrize("widths", [(8, 16, 56), (24, 40), (40,)])
def test_compiled_network_agrees_with_torch(widths: tuple[int, ...]) -> None:
    """Every kind of layer, of sizes that no group of pixels divides, over 24 x 40 texels."""
    if native.library() is None:
        pytest.skip("needs the compiled library, and there is no C++ compiler")
    unet = DynamicUNet(replace(CONFIG, unet=widths)).requires_grad_(False)
    torch.nn.init.normal_(unet.out.weight, std=0.05)
    identity, drive = torch.randn(1, CONFIG.identity, 24, 40), torch.randn(1, 3, 24, 40)
    person = unet.person_features(identity)
    wanted = unet.change(person, drive)[0]
    unet = fold_texel_major(unet)
    rows = drive[0].unfold(1, 2, 2).unfold(2, 2, 2).permute(1, 2, 3, 4, 0)  # [12, 20, 2, 2, 3]
    assert can_compile(unet)
    less = add_border(-unet.at_rest(person)[0])
    found = CompiledUNet(unet, add_border(person[0]), less)(
        add_border(rows.flatten(2).permute(2, 0, 1))
    )
    texels = found[1:-1, 1:-1].unflatten(2, (2, 2, -1)).permute(4, 0, 2, 1, 3)
    # float32: sums of some hundred products, seven layers deep
    torch.testing.assert_close(texels.reshape(wanted.shape), wanted, rtol=0, atol=1e-5)


def test_sizes_that_cannot_be_compiled() -> None:
    assert not can_compile(fold_texel_major(DynamicUNet(replace(CONFIG, unet=(12, 20)))))


def test_an_untrained_network_changes_nothing(avatar_with: Callable[[float], Avatar]) -> None:
    avatar = avatar_with(0.0)
    codes = expression(**GRIN)
    ours = Animator(avatar).animate(codes)
    plain = Animator(replace(avatar, dynamic=None)).animate(codes)
    for name, x in vars(plain).items():
        assert torch.equal(getattr(ours, name), x), name


def test_the_head_s_own_motion_changes_nothing(avatar_with: Callable[[float], Avatar]) -> None:
    """Turned or not, colours are the expression's."""
    animator = Animator(avatar_with(0.05))
    turned = expression(**GRIN)
    upright = replace(turned, neck_pose=turned.neck_pose * 0, global_orient=turned.transl * 0)
    one = animator.animate(turned).sh.clone()
    assert torch.equal(one, animator.animate(upright).sh)
    assert not torch.equal(one, animator.animate(expression(jawOpen=0.2)).sh)


def test_carried_without_moves_it_looks_as_at_rest(avatar_with: Callable[[float], Avatar]) -> None:
    animator = Animator(avatar_with(0.05))
    codes = expression(**GRIN)
    rest = animator.animate(expression()).sh.clone()
    posed = animator.vertices(codes).clone()
    torch.testing.assert_close(animator.carry(posed).sh, rest, rtol=0, atol=1e-5)  # float32
    driven = animator.carry(posed, animator.expression_moves(codes)).sh.clone()
    assert torch.equal(driven, animator.animate(codes).sh)
    with pytest.raises(ShapeError, match="field"):
        animator.carry(posed, posed[1:])


def test_a_face_at_rest_can_be_deformed_alone(avatar_with: Callable[[float], Avatar]) -> None:
    """Without an expression's change: as a Deformer of the same splats has it."""
    avatar = avatar_with(1.0)
    animator = Animator(avatar)
    plain = Deformer(avatar.neutral, animator.head.faces, avatar.binding, avatar.splats)
    own = animator._deformer.deform(avatar.neutral)
    for x, y in zip(own, plain.deform(avatar.neutral), strict=True):
        assert torch.equal(x, y)


def test_threads_have_their_own_changes(avatar_with: Callable[[float], Avatar]) -> None:
    animator = Animator(avatar_with(0.05))
    poses = [expression(jawOpen=0.3 * i) for i in range(3)]
    right = [animator.animate(codes).sh.clone() for codes in poses]
    wrong: list[int] = []

    def animate_often(index: int) -> None:
        for _ in range(5):
            if not torch.equal(animator.animate(poses[index]).sh, right[index]):
                wrong.append(index)

    workers = [threading.Thread(target=animate_often, args=(i,)) for i in range(len(poses))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong


@pytest.fixture
def avatar(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Avatar:
    """With its weights installed."""
    (tmp_path / "models").mkdir()
    return dynamic_avatar(install_network(monkeypatch, tmp_path / "models", 0.05))


def load_dynamic(folder: Path) -> Dynamics | None:
    avatar = load_avatar(folder)
    assert isinstance(avatar, Avatar)
    return avatar.dynamic


def test_file_round_trip(avatar: Avatar, tmp_path: Path) -> None:
    save_avatar(avatar, tmp_path)
    loaded = load_dynamic(tmp_path)
    assert loaded is not None
    assert avatar.dynamic is not None
    assert torch.equal(loaded.identity, avatar.dynamic.identity.half().float())
    assert torch.equal(loaded.splats, avatar.dynamic.splats)
    assert torch.equal(loaded.cells, avatar.dynamic.cells)
    assert (loaded.preset, loaded.weights) == (PRESET, avatar.dynamic.weights)
    assert loaded.channels == avatar.dynamic.channels


@pytest.mark.parametrize("number", [1, 2])
def test_older_files_are_read(avatar: Avatar, tmp_path: Path, number: int) -> None:
    save_avatar(replace(avatar, dynamic=None), tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    (tmp_path / "manifest.json").write_text(json.dumps({**manifest, "format": number}))
    assert load_dynamic(tmp_path) is None


def test_all_numbers_changed_before_files_named_them(avatar: Avatar, tmp_path: Path) -> None:
    assert avatar.dynamic is not None
    some = replace(avatar, dynamic=replace(avatar.dynamic, channels=("color",)))
    save_avatar(some, tmp_path)
    assert (loaded := load_dynamic(tmp_path)) is not None
    assert loaded.channels == ("color",)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    del manifest["dynamic"]["channels"]
    (tmp_path / "manifest.json").write_text(json.dumps({**manifest, "format": 4}))
    assert (loaded := load_dynamic(tmp_path)) is not None
    assert loaded.channels == ("position", "opacity", "scale", "color", "rotation")


def test_other_weights_are_refused(
    avatar: Avatar, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_avatar(avatar, tmp_path)
    (tmp_path / "other").mkdir()
    install_network(monkeypatch, tmp_path / "other", 0.06)
    with pytest.raises(AssetError, match=r"expected tiny weights [0-9a-f]{12}.*make it again"):
        load_avatar(tmp_path)
    with pytest.raises(AssetError, match="expected tiny weights"):
        Animator(avatar)


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("identity", lambda x: x[1:]),
        ("identity", lambda x: x * torch.nan),
        ("splats", lambda x: x[:-1]),
        ("splats", lambda x: x.flip(0)),
        ("splats", lambda x: x + 10**6),
        ("splats", lambda x: x - 10**6),
        ("cells", lambda x: x + CONFIG.chart**2),
        ("cells", lambda x: x - CONFIG.chart**2),
        ("cells", lambda x: x[:, None]),
    ],
)
def test_damaged_changes_are_refused(
    avatar: Avatar, tmp_path: Path, name: str, damage: Callable[[Tensor], Tensor]
) -> None:
    save_avatar(avatar, tmp_path)
    file = tmp_path / "avatar.safetensors"
    tensors = {name: x.clone() for name, x in load_file(file).items()}  # it was only mapped
    tensors[f"dynamic.{name}"] = damage(tensors[f"dynamic.{name}"]).contiguous()
    save_file(tensors, file)
    with pytest.raises(AssetError, match=r"is damaged|not finite"):
        load_avatar(tmp_path)


@pytest.mark.parametrize("entry", [{"preset": "huge"}, {"weights": "../x"}, {"preset": None}, 7])
def test_damaged_manifests_are_refused(avatar: Avatar, tmp_path: Path, entry: object) -> None:
    save_avatar(avatar, tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    manifest["dynamic"] = {**manifest["dynamic"], **entry} if isinstance(entry, dict) else entry
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(AssetError, match="is damaged"):
        load_avatar(tmp_path)


def test_numbers_beyond_the_avatar_are_refused(avatar: Avatar) -> None:
    assert avatar.dynamic is not None
    with pytest.raises(ShapeError, match=r"dynamic\.splats"):
        replace(avatar, dynamic=replace(avatar.dynamic, splats=avatar.dynamic.splats + len(avatar)))
    with pytest.raises(InputError, match="SHA-256"):
        replace(avatar.dynamic, weights="0")


def test_weights_round_trip_in_half_precision(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fingerprint = install_network(monkeypatch, tmp_path, 0.05)
    model, again = weights.load_query_lrm(PRESET)
    assert again == fingerprint
    assert weights.load_query_lrm(PRESET)[0] is model
    torch.manual_seed(0)
    for (name, x), y in zip(
        model.state_dict().items(), QueryLrm(CONFIG).state_dict().values(), strict=True
    ):
        if name != "unet.out.weight":
            assert torch.equal(x, y.half().float()), name


def test_weights_that_cannot_be_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(weights, "FOLDER", tmp_path)
    file = weights.query_lrm_path(PRESET)
    with pytest.raises(AssetError, match=r"expected weights in .*query_lrm_tiny"):
        weights.load_query_lrm(PRESET)
    with pytest.raises(AssetError, match="expected a preset of paper, tiny, got 'huge'"):
        weights.load_query_lrm("huge")
    install_network(monkeypatch, tmp_path, 0.05)
    whole, tensors = file.read_bytes(), load_file(file)
    tensors = {name: x.clone() for name, x in tensors.items()}  # they were only mapped
    model = QueryLrm(CONFIG)

    def refused(message: str) -> None:
        weights._read_cached.cache_clear()
        with pytest.raises(AssetError, match=message):
            weights.load_query_lrm(PRESET)

    file.write_bytes(whole[: len(whole) // 2])
    refused("expected weights in")
    save_file(tensors, file)
    refused("its metadata has no config")
    save_file(tensors, file, {"config": "{"})
    refused("expected weights in")
    save_file(tensors, file, {"config": "7"})
    refused("expected a model of")
    model.config = replace(CONFIG, identity=8)
    weights.save_query_lrm(model, file, {})
    refused("expected a model of")
    model.config = CONFIG
    model.decoder.identity.weight.data = model.decoder.identity.weight.data[:8]
    weights.save_query_lrm(model, file, {})
    refused("does not fit")
    model = QueryLrm(CONFIG)
    model.queries.data[0, 0] = torch.inf
    weights.save_query_lrm(model, file, {})
    refused("expected finite weights")
