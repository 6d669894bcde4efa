// A thread that works out what a part of the callers must have given.
import { parentPort, workerData } from 'node:worker_threads';
import { frontEndSpec, loadManifest } from '../../src/models/manifest.ts';
import { Casting } from './caller-stream.ts';
import { expectPoints } from './expectation.ts';
import type { ExpectationData } from './expectations.ts';

if (parentPort === null) throw new Error('Expected to run as a worker thread');
const port = parentPort;
const { cast, callers, modelDir } = workerData as ExpectationData;
const { manifest } = await loadManifest(modelDir);
const spec = frontEndSpec(manifest);
const casting = new Casting(cast);
for (const caller of callers) port.postMessage(await expectPoints(casting, caller, cast.voices.codec, spec));
