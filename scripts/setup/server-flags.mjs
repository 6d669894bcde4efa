// How Node is started where it runs the server.

/**
 * The young generation is kept at 4 MB a half-space, in each thread. V8's own choice on a machine with memory to spare is 32, which the
 * short-lived objects of some hundred callers fill without need: it cost as much memory as the callers themselves.
 *
 * The old one may grow by 40 % before it is collected. V8 lets it more than double where little of it survives, as here, where
 * much lives from one point of a caller to the next and no longer: of 250 callers that was 50 MB of garbage.
 */
export const serverFlags = ['--max-semi-space-size=4', '--heap-growing-percent=40'];
