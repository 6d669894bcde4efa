// How Node is started where it runs the server.

/**
 * The young generation is kept at 4 MB a half-space, in each thread. V8's own choice on a machine with memory to spare is 32, which the
 * short-lived objects of some hundred callers fill without need: it cost as much memory as the callers themselves.
 */
export const serverFlags = ['--max-semi-space-size=4'];
