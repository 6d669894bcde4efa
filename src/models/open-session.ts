// Opens a model's networks on the runtime that is asked for, which is loaded only now.
import type { KernelSessionOptions } from './kernel-session.ts';
import type { OnnxSessionOptions } from './onnx-session.ts';
import type { NetworkFiles, Session } from './session.ts';
import type { NativeTfjsOptions } from './tfjs/native.ts';

/** A runtime, its options, and what it shall run. */
export type SessionOptions =
  | (OnnxSessionOptions & { readonly runtime: 'onnxruntime' })
  | (KernelSessionOptions & { readonly runtime: 'kernel' })
  | (NetworkFiles & NativeTfjsOptions & { readonly runtime: 'tfjs' });

/** Rejects with the runtime's error where it, or a network on it, does not load. */
export async function openSession(options: SessionOptions): Promise<Session> {
  // Imported here and not above, so that a library that is missing on this machine becomes a message.
  if (options.runtime === 'kernel') return (await import('./kernel-session.ts')).KernelSession.open(options);
  if (options.runtime === 'onnxruntime') {
    const { OnnxSession } = await import('./onnx-session.ts');
    return OnnxSession.open(options);
  }
  const [{ loadNativeTfjs }, { TfjsSession }] = await Promise.all([import('./tfjs/native.ts'), import('./tfjs/session.ts')]);
  return TfjsSession.open(await loadNativeTfjs(options), options);
}
