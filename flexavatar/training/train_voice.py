"""Trains the network that turns a voice into a mouth's motion, from speech of known phones."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from flexavatar.drive.voice.articulation import ARTICULATORS
from flexavatar.drive.voice.network import VOICE_NETS, VoiceNet, VoiceNetConfig
from flexavatar.progress import Progress, no_progress
from flexavatar.training.config import TrainVoiceNet
from flexavatar.training.loop import LOG, STATE, learning_rate_at
from flexavatar.training.speech.clips import Clip, ClipSampler
from flexavatar.training.speech.coarticulation import CONTACTS
from flexavatar.training.speech.pool import fill_pool, read_utterances, training_voices
from flexavatar.training.speech.recordings import fill_recordings
from flexavatar.training.speech.speakers import Utterance
from flexavatar.training.state import WeightAverage, append_line, load_state, save_state

POOL, RECORDINGS = "speech", "recordings.npz"
CONTACT_MASK = torch.tensor([name in CONTACTS for name in ARTICULATORS])
REPLAY_CLIPS = 400
"""Clips that are shown again: to make one takes as long as to learn from it."""
HELD_OUT_EACH = 12
"""The last utterances of each voice, on which the training is validated."""


def voice_losses(output: tuple[Tensor, Tensor], clips: Sequence[Clip]) -> dict[str, Tensor]:
    """Terms of a batch; `output` are the network's logits [B, T, 9] and [B, T, kinds]."""
    logits, kinds = output
    mouth = torch.from_numpy(np.stack([clip.mouth for clip in clips]))
    true_kinds = torch.from_numpy(np.stack([clip.kinds for clip in clips]))
    shown = logits.sigmoid()
    return {
        "mouth": functional.l1_loss(shown, mouth) + functional.mse_loss(shown, mouth),
        "motion": functional.l1_loss(shown.diff(dim=1), mouth.diff(dim=1)),
        "meeting": functional.binary_cross_entropy_with_logits(
            logits[..., CONTACT_MASK], mouth[..., CONTACT_MASK], pos_weight=torch.tensor(2.0)
        ),
        "kinds": functional.cross_entropy(kinds.mT, true_kinds, label_smoothing=0.05),
    }


class VoiceTrainer:
    """A network, the voices that it learns from, and one step of it."""

    def __init__(
        self, pool: Path, config: TrainVoiceNet, recordings: Sequence[Utterance] = ()
    ) -> None:
        """Raises AssetError if a synthesiser is missing that has not spoken yet."""
        torch.manual_seed(config.seed)
        self.config = config
        self.model = VoiceNet(VoiceNetConfig())
        self.average = WeightAverage(self.model)
        rate = config.learning_rate
        self.optimiser = torch.optim.Adam(self.model.parameters(), lr=rate, betas=(0.9, 0.98))
        voices = [read_utterances(pool / part.path) for part in training_voices()]
        self.clips = ClipSampler(
            [voice[:-HELD_OUT_EACH] for voice in voices], config.seed, recordings
        )
        rng = np.random.default_rng((config.seed, 2))
        held_out = ClipSampler([voice[-HELD_OUT_EACH:] for voice in voices], config.seed)
        self.replay: deque[Clip] = deque(maxlen=REPLAY_CLIPS)
        self.held_out_clips = [held_out.sample(rng) for _ in range(3 * config.batch)]

    def step(self, number: int) -> dict[str, float]:
        """Learn from one batch; the terms' values."""
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate_at(number, self.config)
        rng = np.random.default_rng((self.config.seed, 3, number))
        again = min(self.config.batch // 2, len(self.replay))
        clips = [self.replay[int(i)] for i in rng.integers(max(len(self.replay), 1), size=again)]
        new = [self.clips.sample(rng) for _ in range(self.config.batch - again)]
        self.replay.extend(new)
        clips += new
        terms = voice_losses(self.model(_stack_features(clips)), clips)
        total = terms["mouth"] + sum(
            getattr(self.config, name) * terms[name] for name in ("motion", "meeting", "kinds")
        )
        self.optimiser.zero_grad(set_to_none=True)
        total.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()
        self.average.update(self.model, number)
        return {name: float(term.detach()) for name, term in terms.items()}

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Terms on utterances that it never learns from, and each articulator's correlation."""
        model = VoiceNet(self.model.config)
        model.load_state_dict(self.model.state_dict())
        self.average.copy_to(model)
        output = model(_stack_features(self.held_out_clips))
        shown = output[0].sigmoid().flatten(0, 1).numpy()
        true = np.concatenate([clip.mouth for clip in self.held_out_clips])
        named = {
            name: float(np.corrcoef(a, b)[0, 1])
            for name, a, b in zip(ARTICULATORS, shown.T, true.T, strict=True)
            if b.any()
        }
        terms = voice_losses(output, self.held_out_clips)
        return {f"held_{name}": float(t) for name, t in terms.items()} | named


def _stack_features(clips: Sequence[Clip]) -> Tensor:
    return torch.from_numpy(np.stack([clip.features for clip in clips]))


def train_voice(
    out: Path,
    config: TrainVoiceNet,
    pool: Path | None = None,
    recordings: Path | None = None,
    progress: Progress = no_progress,
) -> Path:
    """Let voices speak, learn from them until `steps`, write the weights; their path.

    `recordings` is a folder of sound files to learn from as well, each with its text as .txt.
    Goes on where a run in `out` was. Raises AssetError if a synthesiser is missing, or if `out`
    holds another model's run; InputError for recordings that do not fit their texts.
    """
    pool = pool or out / POOL
    fill_pool(pool, progress)
    own = fill_recordings(recordings, out / RECORDINGS) if recordings else ()
    trainer = VoiceTrainer(pool, config, own)
    rest = (trainer.model, trainer.average, trainer.optimiser)
    start = load_state(out / STATE, *rest) if (out / STATE).exists() else 0
    began, seen = time.perf_counter(), list[dict[str, float]]()
    for number in range(start, config.steps):
        seen.append(trainer.step(number))
        progress("learning", (number + 1) / config.steps)
        if (number + 1) % config.save_every == 0 or number + 1 == config.steps:
            save_state(out / STATE, *rest, number + 1)
            spent = (time.perf_counter() - began) / (number + 1 - start)
            means = {name: float(np.mean([terms[name] for terms in seen])) for name in seen[0]}
            line = {"step": float(number + 1), "seconds_a_step": spent, **means}
            append_line(out / LOG, line | trainer.validate())
            seen.clear()
    trainer.average.copy_to(trainer.model)
    weights = out / VOICE_NETS.path("tiny").name
    VOICE_NETS.save(trainer.model, weights, {"steps": str(config.steps)})
    return weights
