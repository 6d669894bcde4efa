// The sizes of EmoNet, which the kernel is laid out for.

/** Frames of a hop, and features of a frame. */
export const hopFrames = 24;
export const features = 104;
export const melBands = 64;
export const cepstra = features - melBands;
/** Channels of the blocks, and of a direction of the LSTM. */
export const channels = 144;
export const units = 96;
export const gates = 4 * units;
export const windowSteps = 30;
export const hiddenScores = 64;
export const pooledMeans = 2 * units + channels + features;
export const hidden = 160;
/** Steps of a hop in the first block, and in all that follows. */
export const fine = 6;
export const coarse = 3;
/**
 * What the manifest calls a step: channels, sums and squares of the features, frames heard. Behind it lie the LSTM's products, 16
 * bits each.
 */
export const ownStep = channels + 2 * features + 1;
/** Floats of a step. */
export const kernelStepSize = ownStep + gates;
export const kernelStateSize = 4064;
export const stepBytes = 4 * kernelStepSize;
export const row = 4 * channels;
/** Callers that are computed together. */
export const most = 8;
export const labelBlock = 8;
/** Steps of a window, to a multiple of 4. */
export const paddedSteps = 32;
