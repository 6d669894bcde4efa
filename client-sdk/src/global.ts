// What the script for pages without a bundler puts under `Undertone`: the client and the overlay.
export * from './index.ts';
export * from './overlay.ts';
