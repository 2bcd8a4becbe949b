"""Speech to train from: phones, what a mouth does to say them, clips, a run."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from flexavatar.drive.voice.articulation import ARTICULATORS, arkit_weights
from flexavatar.drive.voice.features import RATE, STEP, STEP_REACH, FeatureExtractor
from flexavatar.drive.voice.network import DELAY, StreamingVoiceNet, VoiceNet, VoiceNetConfig
from flexavatar.errors import AssetError, InputError
from flexavatar.evaluation.voice import SHUT_MM, lip_gaps
from flexavatar.head.arkit_fit import load_arkit_basis
from flexavatar.head.arkit_report import aperture_report, pose_template
from flexavatar.head.open_head import load_open_head
from flexavatar.training import train_voice as training
from flexavatar.training.speech import pool as pools
from flexavatar.training.speech.clips import CLIP_S, STEPS, ClipSampler, features_of
from flexavatar.training.speech.coarticulation import articulate
from flexavatar.training.speech.espeak import espeak
from flexavatar.training.speech.hibari_voice import hibari
from flexavatar.training.speech.phones import (
    KINDS,
    Phone,
    kinds_of_arpabet,
    kinds_of_ipa,
)
from flexavatar.training.speech.pool import VoiceQuota, read_utterances, write_utterances
from flexavatar.training.speech.recordings import cut_at_pauses, read_recordings
from flexavatar.training.speech.speakers import Speaker, Utterance, flite

JAW, SHUT, TUCK, ROUND = (ARTICULATORS.index(name) for name in ("jaw", "shut", "tuck", "round"))
ROUNDING = 1e-5
PAPA = (
    Phone("sil", 0.0, 0.2),
    Phone("p", 0.2, 0.3),
    Phone("aa", 0.3, 0.45),
    Phone("p", 0.45, 0.55),
    Phone("aa", 0.55, 0.7),
    Phone("sil", 0.7, 1.0),
)


def beeping(text: str, chance: random.Random) -> Utterance:
    """A voice that is loud where its vowels are."""
    sound = np.zeros(RATE, np.float32)
    for phone in PAPA:
        if phone.kind == "aa":
            time = np.arange(round(phone.start * RATE), round(phone.end * RATE)) / RATE
            sound[round(phone.start * RATE) :][: len(time)] = 0.3 * np.sin(1500 * time)
    return Utterance(sound, PAPA)


def test_alphabets_mean_the_same_phones() -> None:
    assert kinds_of_arpabet("M") == kinds_of_ipa("m") == ("p",)
    assert kinds_of_arpabet("AY1") == ("aa", "ih") == kinds_of_ipa("aɪ") == kinds_of_ipa("I")
    assert kinds_of_ipa("tʃ") == kinds_of_arpabet("ch") == ("sh",)
    assert kinds_of_ipa("ɔ̃ː") == ("ao",)
    assert kinds_of_ipa("ˈ") == ()
    assert {kind for symbol in "pɑfθiu" for kind in kinds_of_ipa(symbol)} <= {*KINDS}


def test_lips_shut_for_the_whole_of_a_closure_and_open_between() -> None:
    times = np.arange(0, 1, 0.01)
    mouth = articulate(PAPA, times)
    assert mouth.min() >= 0
    assert mouth.max() <= 1
    gaps = lip_gaps(np.array([arkit_weights(row) for row in mouth]))
    for phone in PAPA:
        inside = (times > phone.start) & (times < phone.end - 0.01)
        if phone.kind == "p":
            assert gaps[inside].max() <= SHUT_MM
        elif phone.kind == "aa":
            assert gaps[inside].max() > 5  # mm


def test_lips_alone_are_as_far_apart_as_the_whole_heads() -> None:
    head = load_open_head()
    rows = torch.rand(6, 52, generator=torch.Generator().manual_seed(0)) * 0.4
    posed = pose_template(head, load_arkit_basis(head), rows).double().numpy()
    whole = [max(aperture_report(head, one, "", "{}_lip").gap_mm, 0.0) for one in posed]
    np.testing.assert_allclose(lip_gaps(rows.numpy()), whole, atol=1e-3)  # mm, of single floats


def test_rounding_comes_before_its_vowel() -> None:
    times = np.array([0.10, 0.17])
    phones = Phone("sil", 0, 0.1), Phone("t", 0.1, 0.2), Phone("uw", 0.2, 0.4)
    early, late = articulate(phones, times)[:, ROUND]
    assert 0.1 < early < late


@pytest.mark.parametrize("kind", [k for k in KINDS if k not in ("sil", "p")])
def test_every_other_phone_opens_the_lips(kind: str) -> None:
    row = articulate([Phone(kind, 0, 1)], np.array([0.5]))[0]
    assert lip_gaps(arkit_weights(row)[None])[0] > SHUT_MM


@pytest.mark.parametrize("intensity", [0.0, 1.0, 2.0])
def test_lips_that_shut_do_so_at_any_intensity(intensity: float) -> None:
    row = np.zeros(len(ARTICULATORS))
    row[[JAW, SHUT, ROUND]] = 0.6, 0.9, 0.5
    assert lip_gaps(arkit_weights(row, intensity)[None])[0] <= SHUT_MM


def test_features_are_what_an_ear_hears() -> None:
    sound = np.random.default_rng(0).normal(0, 0.1, RATE).astype(np.float32)
    heard = np.stack(
        FeatureExtractor().push(np.concatenate((sound, np.zeros(STEP_REACH, np.float32))))
    )
    np.testing.assert_allclose(features_of(sound, len(heard)), heard, atol=ROUNDING)


def test_streaming_gives_the_networks_numbers_step_by_step() -> None:
    torch.manual_seed(0)
    net = VoiceNet(VoiceNetConfig(width=16)).eval()
    features = torch.rand(1, 30, net.enter.in_features)
    whole = net(features)[0].sigmoid()[0].detach().numpy()
    streaming = StreamingVoiceNet({name: x.numpy() for name, x in net.state_dict().items()})
    steps = [streaming.step(row) for row in features[0].numpy()]
    assert all(step is None for step in steps[:DELAY])
    heard = np.stack([step for step in steps if step is not None])
    np.testing.assert_allclose(heard, whole[DELAY:], atol=ROUNDING)


def test_clips_are_sound_and_what_the_mouth_does() -> None:
    clips = ClipSampler([[beeping("", random.Random(0))] * 3], seed=0)
    chance = np.random.default_rng(0)
    drawn = [clips.sample(chance) for _ in range(12)]
    for clip in drawn:
        assert clip.features.shape[0] == len(clip.mouth) == len(clip.kinds) == STEPS
        assert np.isfinite(clip.features).all()
        assert clip.mouth.min() >= 0
        assert clip.mouth.max() <= 1
    assert any(clip.mouth[:, SHUT].max() > 0.9 for clip in drawn)
    assert round(CLIP_S * RATE / STEP) == STEPS


def test_utterances_survive_the_disk(tmp_path: Path) -> None:
    said = [beeping("", random.Random(0)), Utterance(np.full(800, 0.1, np.float32), PAPA[:1])]
    write_utterances(tmp_path / "a.npz", said)
    read = read_utterances(tmp_path / "a.npz")
    assert [u.phones for u in read] == [u.phones for u in said]
    for a, b in zip(read, said, strict=True):
        np.testing.assert_allclose(a.sound, b.sound, atol=1 / 32767)


@pytest.fixture
def beeper(monkeypatch: pytest.MonkeyPatch) -> None:
    """The only voice there is."""

    def parts() -> Sequence[VoiceQuota]:
        return [VoiceQuota(Speaker("beeper", "en", beeping), 20)]

    monkeypatch.setattr(pools, "training_voices", parts)
    monkeypatch.setattr(pools, "english_words", lambda: ["papa"])
    monkeypatch.setattr(training, "training_voices", parts)


def test_a_run_that_was_stopped_goes_on(tmp_path: Path, beeper: None) -> None:
    config = training.TrainVoiceNet(steps=1, batch=2, save_every=1)
    training.train_voice(tmp_path, config)
    weights = training.train_voice(tmp_path, training.TrainVoiceNet(steps=2, batch=2))
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2]
    assert lines[-1]["held_mouth"] > 0
    training.VOICE_NETS.read(weights, VoiceNetConfig())  # raises unless they are whole


def has(program: str) -> bool:
    return shutil.which(program) is not None


SPEAKERS: Sequence[tuple[str, Callable[[], Speaker]]] = (
    ("flite", lambda: flite("slt")),
    ("espeak-ng", lambda: espeak("en-us")),
    ("hibari", hibari),
)


@pytest.mark.parametrize(("needs", "make"), SPEAKERS)
def test_synthesisers_say_where_their_closures_are(needs: str, make: Callable[[], Speaker]) -> None:
    try:
        said = make().say("My papa may buy a map.", random.Random(0))
    except AssetError as error:
        pytest.skip(f"{needs} is not installed: {error}")
    kinds = [phone.kind for phone in said.phones]
    assert kinds.count("p") >= 6
    assert said.phones[-1].end <= len(said.sound) / RATE + 0.2
    level = np.sqrt(np.square(said.sound).mean())
    vowels = [p for p in said.phones if p.kind == "aa" and p.end - p.start > 0.04]
    for phone in vowels:  # loud where a vowel is said to be
        part = said.sound[round(phone.start * RATE) : round(phone.end * RATE)]
        assert np.sqrt(np.square(part).mean()) > 0.5 * level


def test_recordings_are_cut_at_pauses() -> None:
    pause = Phone("sil", 2.0, 2.4)
    said = (Phone("aa", 0.1, 2.0), pause, Phone("p", 2.4, 2.5), Phone("aa", 2.5, 4.5))
    sound = np.arange(5 * RATE, dtype=np.float32)
    first, second = cut_at_pauses(Utterance(sound, said))
    assert first.phones == said[:1]
    assert second.phones[0].kind == "p"
    assert second.phones[0].start == pytest.approx(0.2)
    np.testing.assert_array_equal(np.concatenate((first.sound, second.sound)), sound)


def test_recordings_without_texts_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected sound files"):
        read_recordings(tmp_path)
    (tmp_path / "a.txt").write_text("a")
    with pytest.raises(InputError, match="one sound file beside"):
        read_recordings(tmp_path)
