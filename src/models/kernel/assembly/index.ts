// The kernel of the streaming network, AssemblyScript: `npm run build:kernel` makes `kernel.wasm` of it.
export { copyRows } from './rows';
export { finishRows, finishSteps } from './finish';
export { heard, halve, sums } from './hop';
export { listen, lstm } from './lstm';
export { prepare } from './math';
export { attend, first, pool, statistics } from './pooling';
export { multiply, multiplyFloats } from './product';
export { quantizeMap, quantizeRows } from './quantize';
export { unfold, unfoldBands } from './unfold';
