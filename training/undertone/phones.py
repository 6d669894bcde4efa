"""Which phones are spoken along a clip, said by a linear layer in training alone: another hint to the trunk, see hints.py.

CREMA-D's twelve sentences are known, and so are their phones and their order, though not when each is spoken. Connectionist temporal
classification (Graves et al. 2006) sums over all times at which they may be: so the trunk learns what is being said now, from the sounds
of English and not from the sentence as a whole, and how it is said can stand out from that.
"""

import torch
import torch.nn.functional as F
from torch import nn

# By the corpus's codes, in ARPAbet without stress, as the CMU dictionary has the words.
PHONES = {
    "DFA": "D OW N T F ER G EH T AH JH AE K AH T",
    "IEO": "IH T S IH L EH V AH N AH K L AA K",
    "IOM": "AY M AA N M AY W EY T AH DH AH M IY T IH NG",
    "ITH": "AY TH IH NG K AY HH AE V AH D AA K T ER Z AH P OY N T M AH N T",
    "ITS": "AY TH IH NG K AY V S IY N DH IH S B IH F AO R",
    "IWL": "AY W UH D L AY K AH N UW AH L AA R M K L AA K",
    "IWW": "AY W AH N D ER W AH T DH IH S IH Z AH B AW T",
    "MTI": "M EY B IY T AH M AA R OW IH T W IH L B IY K OW L D",
    "TAI": "DH AH EH R P L EY N IH Z AO L M OW S T F UH L",
    "TIE": "DH AE T IH Z IH G Z AE K T L IY W AH T HH AE P AH N D",
    "TSI": "DH AH S ER F AH S IH Z S L IH K",
    "WSI": "W IY L S T AA P IH N AH K AH P AH L AH V M IH N AH T S",
}
INVENTORY = sorted({phone for said in PHONES.values() for phone in said.split()})
# Phones are shorter than a step of 80 ms: the layer says so many things of each.
RATE = 3


class Phones(nn.Module):
    """The loss, a phone; its weight in the sum is `weight`."""

    def __init__(self, channels, weight):
        super().__init__()
        self.channels, self.weight = channels, weight
        self.layers = nn.Sequential(nn.LayerNorm(channels), nn.Linear(channels, RATE * (len(INVENTORY) + 1)))

    def forward(self, steps, spoken, shares):
        """steps: the trunk's `[B, N, step_size]`; spoken: of `phones_of`, `[B, L]` and `[B]`; shares: what each clip counts, `[B]`.

        A clip of which nothing is known, or in which less is heard than is spoken, counts nothing.
        """
        phones, lengths = spoken
        batch, count, _ = steps.shape
        said = self.layers(steps[..., : self.channels]).reshape(batch, count * RATE, -1).log_softmax(2)
        ends = ((steps[..., -1] > 0) * torch.arange(1, count + 1)).amax(1) * RATE
        losses = F.ctc_loss(said.transpose(0, 1), phones, ends, lengths, reduction="none", zero_infinity=True)
        return self.weight * (losses / lengths.clamp(min=1) * (lengths > 0) * shares).mean()


def phones_of(clips):
    """Numbers of each clip's phones, from 1 on, `[clips, L]`, and how many they are, `[clips]`: none where the sentence is not of CREMA-D."""
    rows = [[INVENTORY.index(phone) + 1 for phone in PHONES.get(code, "").split()] for code in clips.sentences]
    longest = max([1, *map(len, rows)])
    return torch.tensor([row + [0] * (longest - len(row)) for row in rows]), torch.tensor([len(row) for row in rows])
