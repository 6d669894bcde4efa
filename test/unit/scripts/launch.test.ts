// Starting the server as a child: signals reach it once, its exit status comes back.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { afterEach, describe, expect, it } from 'vitest';

const module = new URL('../../../scripts/setup/launch.mjs', import.meta.url).href;

/** A server that says what it gets, and ends in its own time. */
const server = `
  let signals = 0;
  for (const name of ['SIGINT', 'SIGTERM']) process.on(name, () => {
    signals += 1;
    console.log(name);
    // Long enough for a second signal to come, were there one.
    if (signals === 1) setTimeout(() => { console.log('signals ' + signals); process.exit(7); }, 500);
  });
  console.log('ready ' + process.argv.slice(1).join(' '));
  setInterval(() => {}, 1000);
`;

let launcher: ChildProcess | undefined;
afterEach(() => {
  launcher?.kill('SIGKILL');
});

/** Starts a launcher process around a program, and gives its lines of output as they come. */
function start(program: string, ...args: string[]) {
  const source = `import { launch } from ${JSON.stringify(module)};
    process.exitCode = await launch(process.execPath, ['-e', ...${JSON.stringify([program, '--', ...args])}], { echoMs: 60_000 });`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', source], { stdio: ['ignore', 'pipe', 'inherit'] });
  launcher = child;
  return { child, lines: createInterface({ input: child.stdout })[Symbol.asyncIterator]() };
}

describe('launch', () => {
  it.each(['SIGINT', 'SIGTERM'] as const)('passes %s on once, also when npm echoes it, and waits for the end', async (signal) => {
    const { child, lines } = start(server, '--port', '9000');
    const exited = once(child, 'exit');
    expect((await lines.next()).value).toBe('ready --port 9000');
    child.kill(signal);
    expect((await lines.next()).value).toBe(signal);
    child.kill(signal);
    expect((await lines.next()).value).toBe('signals 1');
    expect(await exited).toEqual([7, null]);
  });

  it('gives back the exit status', async () => {
    const { child } = start('process.exit(3)');
    expect(await once(child, 'exit')).toEqual([3, null]);
  });

  it('reports an end by a signal as a shell does', async () => {
    const { child } = start("process.kill(process.pid, 'SIGKILL')");
    expect(await once(child, 'exit')).toEqual([137, null]);
  });
});
