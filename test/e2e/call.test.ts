// The main job: real browsers in a real call on the real server, with a fake microphone that plays real speech.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { writeWav } from '../../tools/audio/wav.ts';
import { decodeOggOpus } from '../../tools/audio/decode-ogg.ts';
import { startApp, type Reader, type TestApp } from '../support/server.ts';
import { launchBrowser } from './support/browser.ts';

const callId = 'meeting';
const labels = ['anger', 'disgust', 'fear', 'happiness', 'neutral', 'sadness'];
const folder = mkdtempSync(join(tmpdir(), 'undertone-e2e-'));
const faults: string[] = [];

let browser: Browser;
let server: TestApp;
const contexts: BrowserContext[] = [];

beforeAll(async () => {
  const microphoneFile = join(folder, 'microphone.wav');
  const clip = await decodeOggOpus(readFileSync(new URL('../../assets/demo/1015_IEO_ANG_HI.opus', import.meta.url)));
  const withPause = new Float32Array(clip.length + 8000);
  withPause.set(clip);
  writeFileSync(microphoneFile, writeWav({ sampleRateHz: 16_000, channels: [withPause] }));
  browser = await launchBrowser({ microphoneFile });
});
afterAll(async () => {
  await browser.close();
  rmSync(folder, { recursive: true });
});
beforeEach(async () => {
  server = await startApp();
  faults.length = 0;
});
afterEach(async () => {
  await Promise.all(contexts.splice(0).map((context) => context.close()));
  await server.close();
  expect(faults).toEqual([]);
});

async function open(path: string): Promise<Page> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  contexts.push(context);
  const page = await context.newPage();
  page.on('pageerror', (error) => faults.push(error.message));
  await page.goto(server.url + path);
  return page;
}

async function enter(page: Page, name: string, { consent = false, camera = false } = {}): Promise<void> {
  await page.getByLabel('Your name').fill(name);
  if (camera) await page.getByRole('switch', { name: 'Camera' }).check();
  if (consent) await page.getByLabel('Yes, measure my emotions').check();
  await page.getByRole('button', { name: 'Join the call' }).click();
  await page.locator('#link-state', { hasText: 'Connected' }).waitFor();
}

async function joinAs(name: string, choices: { consent?: boolean; camera?: boolean } = {}): Promise<Page> {
  const page = await open(`/call/?call=${callId}`);
  await enter(page, name, choices);
  return page;
}

const tileOf = (page: Page, name: string) => page.locator('.tile', { hasText: name });
const confidenceOf = (page: Page, name: string) => tileOf(page, name).getByText(/^\d+%$/);

/** Resolves once the sound that a page plays of somebody is not silence. */
async function hears(page: Page, name: string): Promise<void> {
  const audible = `(() => {
    const tile = [...document.querySelectorAll('.tile')].find((tile) => tile.textContent.includes(${JSON.stringify(name)}));
    const audio = tile?.querySelector('audio');
    if (!audio?.srcObject || audio.paused) return false;
    if (window.heard !== audio.srcObject) {
      window.heard = audio.srcObject;
      window.meterContext = new AudioContext();
      window.meter = window.meterContext.createAnalyser();
      window.meterContext.createMediaStreamSource(audio.srcObject).connect(window.meter);
    }
    const samples = new Float32Array(window.meter.fftSize);
    window.meter.getFloatTimeDomainData(samples);
    return samples.some((sample) => Math.abs(sample) > 0.02);
  })()`;
  await expect.poll(() => page.evaluate(audible), { timeout: 30_000 }).toBe(true);
}

/** Resolves once a page shows moving pictures of somebody. */
async function sees(page: Page, name: string): Promise<void> {
  const shown = `(() => {
    const tile = [...document.querySelectorAll('.tile')].find((tile) => tile.textContent.includes(${JSON.stringify(name)}));
    return (tile?.querySelector('video')?.videoWidth ?? 0) > 0;
  })()`;
  await expect.poll(() => page.evaluate(shown), { timeout: 30_000 }).toBe(true);
}

/** Reads the call's timeline from its start, once the call is open. */
async function timeline(): Promise<Reader> {
  const reader = await server.read(callId);
  await reader.subscribed;
  return reader;
}

describe('a call of two browsers', () => {
  it('lets both hear and see each other, and shows the emotion of the one who agreed', async () => {
    const ada = await joinAs('Ada', { consent: true, camera: true });
    const ben = await joinAs('Ben');
    await Promise.all([hears(ben, 'Ada'), hears(ada, 'Ben'), sees(ben, 'Ada')]);

    await Promise.all([confidenceOf(ada, 'Ada').waitFor(), confidenceOf(ben, 'Ada').waitFor()]);
    await Promise.all([
      tileOf(ada, 'Ben').getByText('Not measured', { exact: true }).waitFor(),
      tileOf(ben, 'Ben').getByText('Not measured', { exact: true }).waitFor(),
    ]);

    const { events } = await timeline();
    const point = await events.first((event) => event.type === 'point');
    expect([...labels, 'uncertain']).toContain((point as { label: string }).label);
    expect(Object.keys((point as { probabilities: object }).probabilities)).toEqual(labels);
    const segment = await events.first((event) => event.type === 'segment');
    expect(segment).toMatchObject({ participantId: (point as { participantId: string }).participantId });
    const decisions = events.items.filter((event) => event.type === 'consent');
    expect(decisions.map((event) => event.measured).toSorted()).toEqual([false, true]);
    const scored = new Set(events.items.filter((event) => event.type === 'point').map((event) => event.participantId));
    expect(scored.size).toBe(1);
  });

  it('passes through listening, an emotion and silence', async () => {
    const ada = await joinAs('Ada', { consent: true });
    await confidenceOf(ada, 'Ada').waitFor();
    await ada.getByRole('button', { name: 'Mute', exact: true }).click();
    await tileOf(ada, 'Ada').getByText('Silence', { exact: true }).waitFor();
    await ada.getByRole('button', { name: 'Unmute' }).click();
    await confidenceOf(ada, 'Ada').waitFor();
  });

  it('stops scoring at once when consent is withdrawn, and starts again when it is given', async () => {
    const ada = await joinAs('Ada', { consent: true });
    await confidenceOf(ada, 'Ada').waitFor();
    const { events } = await timeline();
    await ada.getByRole('button', { name: 'Stop measuring' }).click();
    await tileOf(ada, 'Ada').getByText('Not measured', { exact: true }).waitFor();
    const withdrawn = await events.first((event) => event.type === 'consent' && event.consent === 'withdrawn');
    await ada.getByRole('button', { name: 'Measure me' }).click();
    const again = await events.first((event) => event.type === 'consent' && event.seq > withdrawn.seq);
    await events.first((event) => event.type === 'point' && event.seq > again.seq);
    expect(events.items.filter((event) => event.seq > withdrawn.seq && event.seq < again.seq)).toEqual([]);
  });

  it('survives leaving, joining again and closing the tab', async () => {
    const ada = await joinAs('Ada', { consent: true });
    const ben = await joinAs('Ben');
    await tileOf(ada, 'Ben').waitFor();
    await ben.getByRole('button', { name: 'Leave' }).click();
    await tileOf(ada, 'Ben').waitFor({ state: 'detached' });
    await ben.getByRole('button', { name: 'Join again' }).click();
    await ben.getByRole('button', { name: 'Join the call' }).click();
    await tileOf(ada, 'Ben').waitFor();
    await hears(ada, 'Ben');
    await ben.close();
    await tileOf(ada, 'Ben').waitFor({ state: 'detached' });
    await confidenceOf(ada, 'Ada').waitFor();

    const { events } = await timeline();
    await ada.close();
    await events.first((event) => event.type === 'end');
    expect(events.items.filter((event) => event.type === 'participant').map((event) => event.action)).toEqual([
      'joined',
      'joined',
      'left',
      'joined',
      'left',
      'left',
    ]);
    expect(events.items.map((event) => event.seq)).toEqual(events.items.map((_, i) => i + 1));
  });
});

describe('the console', () => {
  it('shows a live call, its people and their emotions, and the end, by itself', async () => {
    const board = await open('/console/');
    const ada = await joinAs('Ada', { consent: true });
    const card = board.locator('article, section, li', { has: board.getByRole('heading', { name: callId }) }).last();
    await card.waitFor();
    await card
      .getByText(/^\d+%$/)
      .first()
      .waitFor();
    // A name is for the people in the call, not for those who watch it.
    expect(await board.locator('body').innerText()).not.toContain('Ada');
    await ada.close();
    await board
      .getByText('0 live calls')
      .or(board.getByText(/no live calls/i))
      .or(board.getByText(/no calls/i))
      .first()
      .waitFor();
  });
});
