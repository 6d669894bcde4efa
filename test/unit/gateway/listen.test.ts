// Binding the server: any free port, and a clear error where the port is taken.
import { createServer, type Server } from 'node:http';
import { afterEach, expect, it } from 'vitest';
import { listen } from '../../../src/gateway/listen.ts';

const servers: Server[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

function make(): Server {
  const server = createServer((_, response) => response.end('first'));
  servers.push(server);
  return server;
}

it('takes a free port for 0, and says which', async () => {
  const port = await listen(make(), { host: '127.0.0.1', port: 0 });
  expect(port).toBeGreaterThan(0);
  expect(await (await fetch(`http://127.0.0.1:${port}`)).text()).toBe('first');
});

it('says that a port is taken, and leaves who has it alone', async () => {
  const port = await listen(make(), { host: '127.0.0.1', port: 0 });
  await expect(listen(createServer(), { host: '127.0.0.1', port })).rejects.toMatchObject({
    code: 'UT_SERVER_PORT',
    message: `Expected to listen on \`127.0.0.1\` port \`${port}\`, but another program listens there`,
  });
  expect(await (await fetch(`http://127.0.0.1:${port}`)).text()).toBe('first');
});

it('says that an address is not one of this machine', async () => {
  await expect(listen(createServer(), { host: '192.0.2.1', port: 0 })).rejects.toMatchObject({
    code: 'UT_SERVER_PORT',
    message: expect.stringContaining('no interface of this machine'),
  });
});
