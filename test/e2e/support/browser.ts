// One Chromium for a test file: Debian's, started without anything that reaches out of the machine.
import { chromium, type Browser } from 'playwright-core';

/** What a browser is started with. */
export interface BrowserOptions {
  /** A WAV file that the fake microphone plays in a loop. @default a beep */
  readonly microphoneFile?: string;
  /** Whether there are a fake microphone and camera, allowed without asking. @default true */
  readonly devices?: boolean;
}

/** Starts Chromium. The caller closes it. */
export function launchBrowser({ microphoneFile, devices = true }: BrowserOptions = {}): Promise<Browser> {
  return chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--no-first-run',
      '--allow-loopback-in-peer-connection',
      ...(devices ? ['--use-fake-ui-for-media-stream', '--use-fake-device-for-media-stream'] : []),
      ...(microphoneFile === undefined ? [] : [`--use-file-for-fake-audio-capture=${microphoneFile}`]),
    ],
  });
}
