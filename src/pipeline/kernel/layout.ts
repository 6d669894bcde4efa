// Where things lie in the memory of the front end's kernel, bytes. Read by TypeScript and by AssemblyScript alike.

/** Tables, written once by `kernel.ts`. */
export const windowAt = 1024;
export const firstTwiddlesAt = 2624;
export const secondTwiddlesAt = 4160;
export const thirdTwiddlesAt = 4544;
export const realTwiddlesAt = 4640;
export const melCountsAt = 5664;
export const melOffsetsAt = 5728;
export const dctAt = 5984;
export const melWeightsAt = 11104;
/** The most that the weights of the mel filters may take: 4 KiB. */
export const melWeightsEnd = 15200;

/** Scratch of the transform: real parts, then imaginary ones, of 256 numbers each. */
export const workAt = 15232;
export const spectrumAt = 17280;
/** 256 powers and a margin of zeros, for filters are as long as the longest of four. */
export const powerAt = 19328;
export const foldedAt = 20480;

/** Log-mel in, and 81 numbers out, of the voice inputs; between them a caller's levels. */
export const voiceLogMelAt = 20736;
export const voiceLevelsAt = 20992;
export const voiceValuesAt = 21120;

/** A frame into the normalisation, and out of it in steps of 16 bits; a caller's statistics; the prior's mean and weighed variance. */
export const rawAt = 21504;
export const stepsAt = 21920;
export const meansAt = 22336;
export const deviationsAt = 22752;
export const priorMeanAt = 23168;
export const priorVarianceAt = 23584;

/** Rows of 104 features, one for each frame of a piece of signal. */
export const featuresAt = 24000;
export const signalAt = 28672;

/** The low-pass filter's 64 taps; of each band of lags its first half lag and the one after its last. */
export const lowPassAt = 36672;
export const lagBandsAt = 36928;
/** What a caller keeps of the pitch: 8 numbers; behind them the low-passed signal at 4 kHz, 158 samples of before, then 40 of each frame. */
export const pitchStateAt = 37120;
export const lowRateAt = 37152;
/** Scratch: products and energies at 64 lags and a margin, then correlations at half lags. */
export const productsAt = 39392;
export const energiesAt = 39712;
export const correlationsAt = 39968;
/** What each half lag costs as a period. */
export const lagCostsAt = 40512;
/** Rows of 27 numbers, one for each frame. */
export const pitchAt = 41024;
export const memoryBytes = 42112;
