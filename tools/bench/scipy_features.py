"""Times SciPy at the features of the front end: all frames of a file of float32 PCM at once, on one thread.

    python3 scipy_features.py speech.f32

For each line on stdin it does one round and prints its milliseconds. The first line that it prints is the frame count.
"""

import sys
import time

import numpy as np
from scipy.fft import dct, rfft
from scipy.signal import get_window

RATE, FRAME, HOP, FFT, BANDS, CEPSTRA = 16000, 400, 160, 512, 64, 40


def mel_edges():
    """Edges of the bands, Hz, evenly spaced on Slaney's scale."""
    low, high = 40 * 3 / 200, 15 + 27 * np.log(7.8) / np.log(6.4)
    mel = np.linspace(low, high, BANDS + 2)
    return np.where(mel < 15, mel * 200 / 3, 1000 * 6.4 ** ((mel - 15) / 27))


edges = mel_edges()
bins = np.arange(FFT // 2 + 1) * RATE / FFT
bank = np.stack([np.interp(bins, edges[b : b + 3], [0.0, 1.0, 0.0], left=0, right=0) for b in range(BANDS)]).T
window = get_window("hann", FRAME, fftbins=True)
audio = np.fromfile(sys.argv[1], dtype="<f4").astype(np.float64)
frames = np.lib.stride_tricks.sliding_window_view(audio, FRAME)[::HOP]
print(len(frames), flush=True)
for _ in sys.stdin:
    start = time.perf_counter()
    log_mel = np.log(np.maximum((np.abs(rfft(frames * window, FFT)) ** 2) @ bank, 1e-7))
    dct(log_mel, type=2, norm="ortho", axis=1)[:, :CEPSTRA]
    print(1000 * (time.perf_counter() - start), flush=True)
