// The call page and the console in a real browser, against a server that plays the other side by script.
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { launchBrowser } from './support/browser.ts';
import { startScriptedServer, type ScriptedEvent, type ScriptedServer } from './support/scripted-server.ts';

let browser: Browser;
let server: ScriptedServer;
let context: BrowserContext;
let page: Page;
const faults: string[] = [];

beforeAll(async () => {
  browser = await launchBrowser();
});
afterAll(() => browser.close());
beforeEach(async () => {
  server = await startScriptedServer();
  context = await browser.newContext({ viewport: { width: 1280, height: 800 }, permissions: ['clipboard-read', 'clipboard-write'] });
  page = await context.newPage();
  faults.length = 0;
  page.on('pageerror', (error) => faults.push(error.message));
});
afterEach(async () => {
  await context.close();
  await server.close();
  expect(faults).toEqual([]);
});

const probabilities = { anger: 0.1, happiness: 0.7, sadness: 0.2 };
const point = (participantId: string, atMs: number, label = 'happiness'): ScriptedEvent => ({
  ...{ type: 'point', participantId, atMs, startMs: 0, label, confidence: 0.7, probabilities },
  ...{ speechRatio: 1, concealedRatio: 0, unreliable: false, hopMs: 250, arrivedAtUnixMs: 0 },
});

const tile = (name: string) => page.locator('.tile', { hasText: name });

async function join({ consent = false, microphone = true } = {}): Promise<void> {
  await page.goto(`${server.url}/call/?call=demo`);
  await page.getByLabel('Your name').fill('Dana Meyer');
  if (!microphone) await page.getByRole('switch', { name: 'Microphone' }).uncheck();
  if (consent) await page.getByLabel('Yes, measure my emotions').check();
  await page.getByRole('button', { name: 'Join the call' }).click();
  await page.locator('#link-state', { hasText: 'Connected' }).waitFor();
}

describe('the call page', () => {
  it('asks for a name, is off by default about measuring, and joins with what was chosen', async () => {
    await page.goto(`${server.url}/call/?call=demo`);
    const joinButton = page.getByRole('button', { name: 'Join the call' });
    await joinButton.click();
    await page.getByText('Please enter a name').waitFor();
    expect(await page.getByLabel('No, do not measure me').isChecked()).toBe(true);
    expect(await page.getByRole('switch', { name: 'Camera' }).isChecked()).toBe(false);
    await page.getByLabel('Your name').fill('  Dana Meyer ');
    await joinButton.click();
    const { data } = await server.requested('join');
    expect(data).toEqual({ token: 'token', callId: 'demo', displayName: 'Dana Meyer', consent: 'denied' });
    await tile('Dana Meyer').getByText('Not measured', { exact: true }).waitFor();
  });

  it('sends the microphone as Opus with error correction, and leaves silence out', async () => {
    await join();
    const { data } = await server.requested('produce');
    expect(data).toMatchObject({ kind: 'audio', source: 'microphone' });
    const { codecs } = data['rtpParameters'] as { codecs: { mimeType: string; parameters: Record<string, unknown> }[] };
    expect(codecs[0]?.mimeType).toBe('audio/opus');
    expect(codecs[0]?.parameters).toMatchObject({ useinbandfec: 1, usedtx: 1 });
  });

  it('shows who comes and goes, and their emotions', async () => {
    await join({ consent: true });
    await page.getByText('Nobody else is here yet').waitFor();
    const call = server.call('demo');
    server.enter('demo', { participantId: 'ben', displayName: 'Ben Okafor' });
    call.append({ type: 'participant', atMs: 0, participantId: 'ben', action: 'joined', role: 'guest' });
    call.append({ type: 'consent', atMs: 0, participantId: 'ben', consent: 'granted', measured: true, reason: 'granted' });
    await tile('Ben Okafor').getByText('Listening', { exact: true }).waitFor();
    call.append({ type: 'speech', atMs: 100, participantId: 'ben', state: 'start' }, point('ben', 200));
    await tile('Ben Okafor').getByText('70%', { exact: true }).waitFor();
    call.append({ type: 'speech', atMs: 300, participantId: 'ben', state: 'end' });
    await tile('Ben Okafor').getByText('Silence', { exact: true }).waitFor();
    server.depart('demo', 'ben');
    await tile('Ben Okafor').waitFor({ state: 'detached' });
    expect(await page.locator('#announcer').textContent()).toBe('Ben Okafor left');
  });

  it('stops measuring with one click', async () => {
    await join({ consent: true });
    await page.getByRole('button', { name: 'Stop measuring' }).click();
    expect((await server.requested('setConsent')).data).toEqual({ consent: 'withdrawn' });
    await page.getByRole('button', { name: 'Measure me' }).click();
    expect((await server.requested('setConsent', 2)).data).toEqual({ consent: 'granted' });
  });

  it('mutes and unmutes, and shows it', async () => {
    await join();
    await server.requested('produce');
    await page.getByRole('button', { name: 'Mute', exact: true }).click();
    await server.requested('pauseProducer');
    await tile('Dana Meyer').getByText('Microphone off').waitFor({ state: 'attached' });
    await page.getByRole('button', { name: 'Unmute' }).click();
    await server.requested('resumeProducer');
    server.enter('demo', { participantId: 'ben', displayName: 'Ben Okafor' });
    server.notify('newProducer', { participantId: 'ben', producerId: 'x', kind: 'audio', source: 'microphone', paused: false });
    await tile('Ben Okafor').waitFor();
    server.notify('producerPaused', { producerId: 'x' });
    await tile('Ben Okafor').getByText('Microphone off').waitFor({ state: 'attached' });
  });

  it('turns the camera on and off', async () => {
    await join();
    await page.getByRole('button', { name: 'Camera', exact: true }).click();
    expect((await server.requested('produce', 2)).data).toMatchObject({ kind: 'video', source: 'camera' });
    await page.locator('.tile.self.with-video').waitFor();
    await page.getByRole('button', { name: 'Stop camera' }).click();
    await server.requested('closeProducer');
    await page.locator('.tile.self:not(.with-video)').waitFor();
  });

  it('says when the connection is lost, and comes back with what was last chosen', async () => {
    await join({ consent: true });
    await page.getByRole('button', { name: 'Stop measuring' }).click();
    await server.requested('setConsent');
    server.acceptSignal = false;
    server.dropSignal();
    await page.locator('#link-state', { hasText: 'Reconnecting' }).waitFor();
    expect(await page.getByRole('button', { name: 'Mute', exact: true }).isDisabled()).toBe(true);
    server.acceptSignal = true;
    expect((await server.requested('join', 2)).data).toMatchObject({ displayName: 'Dana Meyer', consent: 'denied' });
    await page.locator('#link-state', { hasText: 'Connected' }).waitFor();
    expect(await page.locator('.tile').count()).toBe(1);
    await server.requested('produce', 2);
  });

  it('leaves, tells so, and joins again', async () => {
    await join();
    await page.getByRole('button', { name: 'Leave' }).click();
    await page.getByRole('heading', { name: 'You left the call' }).waitFor();
    await server.requested('leave');
    await page.getByRole('button', { name: 'Join again' }).click();
    await page.getByRole('button', { name: 'Join the call' }).click();
    await server.requested('join', 2);
    await tile('Dana Meyer').waitFor();
  });

  it('leaves when the tab is closed', async () => {
    await join();
    expect(server.signalSockets()).toBe(1);
    await page.close({ runBeforeUnload: false });
    await expect.poll(() => server.signalSockets(), { timeout: 30_000 }).toBe(0);
  });

  it('copies a link without the token', async () => {
    await page.goto(`${server.url}/call/?call=demo#token=secret`);
    await page.getByLabel('Your name').fill('Dana');
    await page.getByRole('button', { name: 'Join the call' }).click();
    expect((await server.requested('join')).data['token']).toBe('secret');
    await page.getByRole('button', { name: 'Copy link' }).click();
    await page.getByRole('button', { name: 'Copied' }).waitFor();
    expect(await page.evaluate('navigator.clipboard.readText()')).toBe(`${server.url}/call/?call=demo`);
  });

  it('makes up a call where none is named, and stays in it on reload', async () => {
    await page.goto(`${server.url}/call/`);
    await page.getByLabel('Your name').waitFor();
    const url = page.url();
    expect(url).toMatch(/\?call=[a-z0-9]{3}-[a-z0-9]{3}-[a-z0-9]{3}$/);
    await page.reload();
    expect(page.url()).toBe(url);
  });

  it('explains what cannot be', async () => {
    await page.goto(`${server.url}/call/?call=${encodeURIComponent('no such/call')}`);
    await page.getByRole('heading', { name: 'This link is not right' }).waitFor();
    server.devTokens = false;
    await page.goto(`${server.url}/call/?call=demo`);
    await page.getByLabel('Your name').fill('Dana');
    await page.getByRole('button', { name: 'Join the call' }).click();
    await page.getByRole('heading', { name: 'You could not join' }).waitFor();
    await page.locator('#outside-text', { hasText: 'This server asks for an access token' }).waitFor();
  });

  it('tells that the call is over', async () => {
    await join();
    server.notify('callEnded', { reason: 'closed' });
    await page.getByRole('heading', { name: 'The call is over' }).waitFor();
  });
});

describe('the call page without a microphone', () => {
  it('joins to listen, and says so', async () => {
    await page.addInitScript(`navigator.mediaDevices.getUserMedia = () =>
      Promise.reject(new DOMException('Permission denied', 'NotAllowedError'))`);
    await join();
    await page.getByText('Your microphone is blocked.').waitFor();
    await page.getByText('You can listen, and others cannot hear you.').waitFor();
    await tile('Dana Meyer').getByText('Microphone off').waitFor({ state: 'attached' });
    expect(server.requests.some(({ method }) => method === 'produce')).toBe(false);
  });

  it('joins muted by choice, and asks when it is wanted after all', async () => {
    await join({ microphone: false });
    await page.getByRole('button', { name: 'Unmute' }).click();
    await server.requested('produce');
    await page.getByRole('button', { name: 'Mute', exact: true }).waitFor();
  });
});

describe('the console', () => {
  const present = (callId: string, participantId: string, role: string): void => {
    const call = server.call(callId);
    call.append({ type: 'participant', atMs: 0, participantId, action: 'joined', role });
    call.append({ type: 'consent', atMs: 0, participantId, consent: 'granted', measured: true, reason: 'granted' });
  };
  const card = (name: string) => page.locator('article', { has: page.getByRole('heading', { name }) });

  it('is honest about having nothing, and shows a call as soon as there is one', async () => {
    await page.goto(`${server.url}/console/`);
    await page.getByRole('heading', { name: 'No calls at the moment' }).waitFor();
    present('support-1', 'p-1', 'customer');
    await card('support-1').getByText('Customer 1', { exact: true }).waitFor();
    await card('support-1').getByText('Listening', { exact: true }).waitFor();
    expect(await page.locator('#link-state').textContent()).toBe('Live');
    expect(await card('support-1').getByRole('link', { name: 'Open' }).getAttribute('href')).toBe('/call/?call=support-1');
  });

  it('follows each participant: now, and over the last minutes', async () => {
    present('support-1', 'p-1', 'customer');
    present('support-1', 'p-2', 'agent');
    const call = server.call('support-1');
    call.append({ type: 'speech', atMs: 100, participantId: 'p-1', state: 'start' });
    call.append(point('p-1', 400, 'anger'), point('p-1', 650, 'anger'), point('p-1', 900, 'anger'), point('p-1', 1150));
    await page.goto(`${server.url}/console/`);
    const row = card('support-1').locator('.row', { hasText: 'Customer 1' });
    await row.getByText('Happiness', { exact: true }).first().waitFor();
    await row.getByText('Speaking').waitFor();
    const words = 'Customer 1, last two minutes: anger 75%, happiness 25% of the scored time.';
    await row.getByText(words, { exact: true }).waitFor({ state: 'attached' });
    // Drawn with the next frame, behind what the words above the strip say.
    expect(await row.locator('rect.run').count()).toBe(2);
    await page.getByText('2 of 2 measured').waitFor();
    expect((await page.locator('#legend li').allTextContents()).join()).toBe('Anger,Happiness');
    await card('support-1').locator('.row', { hasText: 'Agent 1' }).getByText('Listening', { exact: true }).waitFor();

    call.append({ type: 'consent', atMs: 1200, participantId: 'p-1', consent: 'withdrawn', measured: false, reason: 'withdrawn' });
    await row.getByText('Not measured', { exact: true }).waitFor();
    call.append({ type: 'participant', atMs: 1300, participantId: 'p-1', action: 'left', role: 'customer' });
    await row.waitFor({ state: 'detached' });
  });

  it('lists what is over apart', async () => {
    present('support-1', 'p-1', 'customer');
    await page.goto(`${server.url}/console/`);
    await card('support-1').waitFor();
    server.call('support-1').append({ type: 'end', atMs: 2000, reason: 'empty' });
    await page.getByRole('row', { name: /support-1.*1 customer/ }).waitFor();
    await card('support-1').waitFor({ state: 'detached' });
  });

  it('explains a missing token', async () => {
    server.devTokens = false;
    await page.goto(`${server.url}/console/`);
    await page.getByText('This server asks for an access token').waitFor();
    await page.locator('#link-state', { hasText: 'Not connected' }).waitFor();
  });

  it('fits a phone', async () => {
    present('a-rather-long-name-of-a-call-that-someone-chose', 'p-1', 'customer');
    await page.setViewportSize({ width: 390, height: 844 });
    await page.goto(`${server.url}/console/`);
    await page.getByText('Customer 1', { exact: true }).waitFor();
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(390);
  });
});
