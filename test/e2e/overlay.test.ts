// The overlay element in a real browser: each state, its words for screen readers, sizes, and feeding by a client.
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import type { Browser, Locator, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { OverlayState } from '../../client-sdk/src/overlay-state.ts';
import { launchBrowser } from './support/browser.ts';
import { startScriptedServer, type ScriptedServer } from './support/scripted-server.ts';

let browser: Browser;
let host: Server;
let server: ScriptedServer;
let page: Page;

beforeAll(async () => {
  const entry = fileURLToPath(new URL('../../client-sdk/src/global.ts', import.meta.url));
  const { outputFiles } = await build({ entryPoints: [entry], bundle: true, format: 'iife', globalName: 'Undertone', write: false });
  const script = outputFiles[0]!.text;
  // As strict as a page can be: the element may use neither inline styles nor inline scripts.
  const headers = { 'content-security-policy': "default-src 'none'; script-src 'self'; style-src 'self'; connect-src ws:" };
  host = createServer((request, response) => {
    const isScript = request.url === '/sdk.js';
    response.writeHead(200, { ...headers, 'content-type': isScript ? 'text/javascript' : 'text/html' });
    response.end(isScript ? script : '<!doctype html><title>Overlay</title><script src="/sdk.js"></script><body>');
  });
  await new Promise<void>((resolve) => host.listen(0, '127.0.0.1', resolve));
  server = await startScriptedServer();
  browser = await launchBrowser({ devices: false });
});
afterAll(async () => {
  await browser.close();
  await server.close();
  await new Promise((resolve) => host.close(resolve));
});
afterEach(() => page.close());

const problems: string[] = [];

async function openPage(options: Parameters<Browser['newPage']>[0] = {}): Promise<void> {
  page = await browser.newPage(options);
  problems.length = 0;
  page.on('pageerror', (error) => problems.push(error.message));
  page.on('console', (message) => problems.push(message.text()));
  await page.goto(`http://127.0.0.1:${String((host.address() as AddressInfo).port)}/`);
}

/** Puts an overlay of a width on the page, in a state. */
async function show(state: OverlayState, width = 300): Promise<Locator> {
  await page.evaluate(`(() => {
    const element = document.createElement('undertone-overlay');
    element.style.width = '${String(width)}px';
    element.state = ${JSON.stringify(state)};
    document.body.replaceChildren(element);
  })()`);
  return page.locator('undertone-overlay');
}

const probabilities = { anger: 0.1, disgust: 0.05, fear: 0.05, happiness: 0.7, neutral: 0.05, sadness: 0.05 };
const emotion: OverlayState = { kind: 'emotion', label: 'happiness', confidence: 0.7, probabilities };

describe('states', () => {
  it.each<[OverlayState, string[], string]>([
    [{ kind: 'connecting' }, ['Connecting'], 'Emotion: connecting'],
    [{ kind: 'not-measured', reason: 'no-consent' }, ['Not measured', 'No consent given'], 'Emotion not measured: No consent given'],
    [{ kind: 'listening' }, ['Listening'], 'Emotion measured: listening'],
    [{ kind: 'silence', last: null }, ['Silence'], 'Emotion measured: silence'],
    [emotion, ['Happiness', '70%'], 'Emotion happiness, 70% confidence'],
    [{ ...emotion, label: 'uncertain', confidence: 0.3 }, ['Uncertain', 'Perhaps happiness', '30%'], 'perhaps happiness, 30% confidence'],
    [{ ...emotion, unreliable: true }, ['Happiness', 'Bad connection', '70%'], 'Emotion happiness, bad connection, 70% confidence'],
    [{ ...emotion, label: 'boredom' }, ['Boredom', '70%'], 'Emotion boredom, 70% confidence'],
  ])('shows %o', async (state, visible, spoken) => {
    await openPage();
    const overlay = await show(state);
    for (const text of visible) expect(await overlay.getByText(text, { exact: true }).first().isVisible()).toBe(true);
    expect(await overlay.getByRole('status').textContent()).toContain(spoken);
    expect(await overlay.locator('.bar').isVisible()).toBe(state.kind !== 'connecting' && state.kind !== 'not-measured');
    expect(problems).toEqual([]);
  });

  it('shows the distribution where there is room, and fits where there is little', async () => {
    await openPage();
    const wide = await show(emotion, 300);
    expect(await wide.locator('.classes li').count()).toBe(6);
    expect(await wide.locator('.classes').isVisible()).toBe(true);
    const narrow = await show(emotion, 120);
    expect(await narrow.locator('.classes').isVisible()).toBe(false);
    expect(await narrow.getByText('70%', { exact: true }).isVisible()).toBe(true);
    const overflow = await page.evaluate(`(() => {
      const panel = document.querySelector('undertone-overlay').shadowRoot.querySelector('.panel');
      return panel.scrollWidth - panel.clientWidth;
    })()`);
    expect(overflow).toBe(0);
  });

  it('keeps its height from the first emotion on, whatever follows', async () => {
    await openPage();
    const overlay = await show(emotion);
    const height = (await overlay.boundingBox())?.height;
    for (const state of [{ kind: 'silence', last: null }, { kind: 'listening' }] as const) {
      await page.evaluate(`document.querySelector('undertone-overlay').state = ${JSON.stringify(state)}`);
      expect((await overlay.boundingBox())?.height).toBe(height);
    }
  });

  it('follows the colour scheme, the theme and custom properties', async () => {
    const background = (): Promise<unknown> =>
      page.evaluate("getComputedStyle(document.querySelector('undertone-overlay').shadowRoot.querySelector('.panel')).backgroundColor");
    await openPage({ colorScheme: 'light' });
    await show(emotion);
    const light = await background();
    await page.emulateMedia({ colorScheme: 'dark' });
    const dark = await background();
    expect(dark).not.toBe(light);
    await page.evaluate("document.querySelector('undertone-overlay').setAttribute('theme', 'light')");
    expect(await background()).toBe(light);
    await page.evaluate("document.querySelector('undertone-overlay').style.setProperty('--undertone-surface', 'rgb(1, 2, 3)')");
    expect(await background()).toBe('rgb(1, 2, 3)');
  });

  it('stands still for those who ask for it', async () => {
    await openPage({ reducedMotion: 'reduce' });
    await show(emotion);
    const animation = await page.evaluate(
      "getComputedStyle(document.querySelector('undertone-overlay').shadowRoot.querySelector('.dot')).animationName",
    );
    expect(animation).toBe('none');
  });

  it('reads out the first state at once and later ones after a while, only the newest', async () => {
    await openPage();
    await page.clock.install({ time: 0 });
    await page.clock.pauseAt(10_000);
    const overlay = await show({ kind: 'listening' });
    const status = overlay.getByRole('status');
    expect(await status.getAttribute('aria-live')).toBe('polite');
    for (const state of [emotion, { ...emotion, label: 'fear' }]) {
      await page.evaluate(`document.querySelector('undertone-overlay').state = ${JSON.stringify(state)}`);
    }
    await page.clock.runFor(7900);
    expect(await status.textContent()).toBe('Emotion measured: listening');
    await page.clock.runFor(200);
    expect(await status.textContent()).toBe('Emotion fear, 70% confidence');
    await page.evaluate("document.querySelector('undertone-overlay').setAttribute('announce', 'off')");
    expect(await status.getAttribute('aria-live')).toBe('off');
  });
});

describe('with a client', () => {
  it('shows one participant of a call, shares one subscription, and lets go of it', async () => {
    await openPage();
    const call = server.call('overlay-call');
    const consent = { type: 'consent', atMs: 1, consent: 'granted', measured: true, reason: 'granted' } as const;
    for (const participantId of ['a', 'b']) {
      call.append({ type: 'participant', atMs: 0, participantId, action: 'joined', role: 'guest' }, { ...consent, participantId });
    }
    await page.evaluate(`(() => {
      window.client = Undertone.connect({ url: '${server.url.replace('localhost', '127.0.0.1')}', token: 'token' });
      for (const id of ['a', 'b']) {
        const element = document.createElement('undertone-overlay');
        element.setAttribute('call-id', 'overlay-call');
        element.setAttribute('participant-id', id);
        element.client = window.client;
        document.body.append(element);
      }
    })()`);
    const a = page.locator('undertone-overlay[participant-id=a]');
    const b = page.locator('undertone-overlay[participant-id=b]');
    await a.getByText('Listening', { exact: true }).waitFor();
    call.append({ type: 'speech', atMs: 10, participantId: 'a', state: 'start' });
    call.append({
      ...{ type: 'point', atMs: 20, participantId: 'a', startMs: 0, label: 'happiness', confidence: 0.7, probabilities },
      ...{ speechRatio: 1, concealedRatio: 0, unreliable: false, hopMs: 250, arrivedAtUnixMs: 0 },
    });
    await a.getByText('Happiness', { exact: true }).first().waitFor();
    expect(await b.getByText('Listening', { exact: true }).isVisible()).toBe(true);
    call.append({ type: 'consent', atMs: 30, participantId: 'a', consent: 'withdrawn', measured: false, reason: 'withdrawn' });
    await a.getByText('Not measured', { exact: true }).waitFor();
    expect(server.subscribersOf('overlay-call')).toBe(1);

    // Both go; a third, which shows somebody else again, comes.
    await page.evaluate('document.body.replaceChildren()');
    await expect.poll(() => server.subscribersOf('overlay-call'), { timeout: 30_000 }).toBe(0);
    await page.evaluate('window.client.close()');
    expect(problems).toEqual([]);
  });
});
