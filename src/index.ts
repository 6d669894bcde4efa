// What a host with a mediasoup of its own imports.
export { UndertoneError, errorCodes, isUndertoneError, type ErrorCode } from './errors.ts';
export { createLogger, type Logger } from './log.ts';
export { createMetrics, type Metrics } from './metrics.ts';
export { Undertone, type AttachedCall, type UndertoneOptions } from './plugin.ts';
export { createPolicy, policyReasons } from './policy/policy.ts';
export { openTap } from './sfu/tap.ts';
export type { HostRouter } from './sfu/host.ts';
export type { AudioTap, CallInfo, ConsentState, Decide, Decision, ParticipantInfo, RawRtp, TrackInfo } from './sfu/types.ts';
export { callerPipeline, type CallerPipelineOptions } from './pipeline/caller-pipeline.ts';
export { createDecoder, type AudioDecoder } from './pipeline/codec.ts';
export type { FeatureWindow, FrontEndSpec, PipelineOutput } from './pipeline/types.ts';
export { EmotionService, type EmotionServiceOptions } from './models/service.ts';
export type { Engine, ModelManifest, Point, Segment } from './models/types.ts';
export { createTokens, type Tokens } from './gateway/auth.ts';
export { Gateway, type GatewayOptions } from './gateway/gateway.ts';
export { MemoryTimelineStore } from './gateway/memory-store.ts';
export { RedisTimelineStore } from './gateway/redis-store.ts';
export type { CallSummary, TimelineEvent, TimelineStore } from './gateway/types.ts';
