"""What decides a training run."""

from dataclasses import dataclass

from .model import EmoNet


@dataclass
class Recipe:
    """Everything that decides a run but its data."""

    kind: str = "emonet"
    epochs: int = 40
    batch: int = 32
    lr: float = 1.5e-3
    weight_decay: float = 0.02
    # Peak rate of Muon's steps of the network's matrices, in units of lr; 0: AdamW moves them, too. See optimizing.Muon.
    muon: float = 0.0
    seed: int = 1
    vote_share: float = 0.25
    smoothing: float = 0.02
    mixup: float = 0.2
    # Share of clips that are drawn from an augmented copy, where there are copies.
    copy_share: float = 0.5
    # Share of clips of whose caller nothing was heard before, and up to which share little was; the others are well known.
    new_share: float = 0.1
    known_share: float = 0.4
    # Share of batches whose clips follow an earlier one of the caller within the window's reach.
    lead_share: float = 0.0
    # Share of clips whose microphone is changed in the features.
    channel_share: float = 0.5
    # How much faster or slower clips are played, up to so many times.
    tempo: float = 0.12
    # Share of clips that are spoken by another vocal tract, up to so many times longer or shorter: see augment.warp.
    warp_share: float = 0.0
    warp: float = 0.12
    # Share of clips of which packets are lost: see augment.arrived.
    loss_share: float = 0.0
    # Share of clips that are heard in a steady noise, 0 to 20 dB below them: see noise.add.
    noise_share: float = 0.0
    # Share of a teacher's posterior of the clean clip in the targets of the clip and its copies.
    teacher_share: float = 0.0
    windows: int = 1
    # Share of clips whose first window ends early in them, as most live windows do.
    early_share: float = 0.0
    # How far the statistics of normalised features are off: see augment.jitter.
    jitter: float = 0.0
    # Weights of what is said along the way, of the emotion and of the sentence: see hints.Hints; and of the phones: see phones.Phones.
    hint_emotion: float = 0.0
    hint_sentence: float = 0.0
    hint_phones: float = 0.0
    average: float = 0.998
    channels: int = 144
    lstm: int = 96
    dropout: float = 0.2
    head_dropout: float = 0.4

    def network(self):
        return EmoNet(self.kind, channels=self.channels, lstm=self.lstm, dropout=self.dropout, head_dropout=self.head_dropout)
