// The kernel of the front end, AssemblyScript: `npm run build:kernel` makes `kernel.wasm` of it.
export { analyse, shift } from './features';
export { normalize } from './normalizer';
export { correlate, shiftLowRate } from './pitch';
export { takeVoice } from './voice-inputs';
export { stepVoice } from './voice-network';
