"""What one would write in Python instead: librosa's features of each whole window, and PyTorch's network over them.

    whole_windows.py speech.f32 BATCH

Reads 16 kHz float32 PCM. For each line on stdin it scores every window of 2.4 s that ends each 240 ms, BATCH callers at a time, and
prints the CPU milliseconds of one window. The first line that it prints is the number of windows. The features are librosa's
(`melspectrogram`, `mfcc`: centred frames, power, decibels, DCT), without librosa, which Debian lacks; the weights are random,
which changes no time.
"""

import sys
import time

import numpy as np
import torch
from scipy.fft import dct, rfft
from scipy.signal import get_window

from undertone.model import EmoNet

RATE, FRAME, HOP, FFT, BANDS, CEPSTRA = 16000, 400, 160, 512, 64, 40
WINDOW, STEP = 240 * HOP, 24 * HOP


def mel_edges():
    """Edges of the bands, Hz, evenly spaced on Slaney's scale."""
    low, high = 40 * 3 / 200, 15 + 27 * np.log(7.8) / np.log(6.4)
    mel = np.linspace(low, high, BANDS + 2)
    return np.where(mel < 15, mel * 200 / 3, 1000 * 6.4 ** ((mel - 15) / 27))


def features(audio):
    padded = np.pad(audio, FRAME // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, FRAME)[::HOP][:240]
    power = np.abs(rfft(frames * window, FFT)) ** 2
    decibels = 10 * np.log10(np.maximum(power @ bank, 1e-10))
    mfcc = dct(decibels, type=2, norm="ortho", axis=1)[:, :CEPSTRA]
    both = np.concatenate([decibels, mfcc], 1).astype(np.float32)
    return (both - both.mean(0)) / (both.std(0) + 1e-6)


torch.set_num_threads(1)
torch.manual_seed(1)
model = EmoNet().eval()
edges = mel_edges()
bins = np.arange(FFT // 2 + 1) * RATE / FFT
bank = np.stack([np.interp(bins, edges[b : b + 3], [0.0, 1.0, 0.0], left=0, right=0) for b in range(BANDS)]).T.astype(np.float32)
window = get_window("hann", FRAME, fftbins=True).astype(np.float32)
audio = np.fromfile(sys.argv[1], dtype="<f4")
batch = int(sys.argv[2])
ends = range(WINDOW, len(audio) + 1, STEP)
mask = torch.ones(batch, 240)
print(len(ends), flush=True)
for _ in sys.stdin:
    start = time.process_time()
    with torch.inference_mode():
        for end in ends:
            rows = [features(audio[end - WINDOW : end]) for _ in range(batch)]
            torch.softmax(model(torch.from_numpy(np.stack(rows)), mask), 1)
    print(1000 * (time.process_time() - start) / len(ends) / batch, flush=True)
