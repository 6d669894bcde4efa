// The logger: pino, with personal data redacted by path.
import { pino, type Logger } from 'pino';

export type { Logger };

/** Levels that configuration may name. */
export const logLevels = ['silent', 'error', 'warn', 'info', 'debug'] as const;

/**
 * Makes the root logger. Names, tokens and emotion labels are personal data: they never belong in a log
 * message, and are redacted where an object carries them.
 */
export function createLogger(level: (typeof logLevels)[number] = 'info', destination: 1 | 2 = 2): Logger {
  return pino(
    {
      level,
      base: null,
      redact: {
        paths: ['token', 'displayName', 'label', 'probabilities', '*.token', '*.displayName', '*.label', '*.probabilities'],
        censor: '[redacted]',
      },
    },
    pino.destination({ fd: destination, sync: true }),
  );
}
