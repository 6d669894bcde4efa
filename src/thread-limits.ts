// Bounds of the threads that this package starts, whatever the process around them was started with.

/** V8 takes a young generation of three half-spaces of 4 MB each; its own choice is eight times that, in every thread. */
export const threadLimits = { maxYoungGenerationSizeMb: 12 } as const;
