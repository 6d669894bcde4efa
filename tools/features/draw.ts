// Random draws that depend on a seed and on what they are for.
import { createRandom, type Random } from '../callers/random.ts';

/** Random numbers that depend on the seed and on what they are for, and on nothing drawn before. */
export function randomOf(seed: number, purpose: string): Random {
  // FNV-1a, 32 bits.
  let value = 0x811c9dc5;
  for (let i = 0; i < purpose.length; i++) value = Math.imul(value ^ purpose.charCodeAt(i), 0x01000193);
  return createRandom((seed ^ value) >>> 0);
}

/** One of the items; undefined where there are none. */
export function pick<T>(random: Random, items: readonly T[]): T | undefined {
  return items[Math.floor(random() * items.length)];
}

/** Fisher and Yates' shuffle, of a copy. */
export function shuffled<T>(items: readonly T[], random: Random): T[] {
  const order = [...items];
  for (let i = order.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    const [a, b] = [order[i], order[j]];
    if (a !== undefined && b !== undefined) [order[i], order[j]] = [b, a];
  }
  return order;
}
