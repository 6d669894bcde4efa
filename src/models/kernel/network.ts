// The network that the kernel knows.

/** What a manifest calls it: these layers, of these sizes, in graphs whose weights have the names of training/undertone/serving.py. */
export const kernelNetwork = 'emonet/1';
