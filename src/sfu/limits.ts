// How much one node, one call and one participant may use.

/** Bounds that keep one client or call from taking what others need. */
export interface SfuLimits {
  /** Calls open on this node. @default 200 */
  readonly maxCalls: number;
  /** Participants in one call. @default 32 */
  readonly maxParticipantsPerCall: number;
  /** Transports of one participant. @default 4 */
  readonly maxTransportsPerParticipant: number;
  /** Producers of one participant. @default 4 */
  readonly maxProducersPerParticipant: number;
  /** Consumers of one participant. @default 128 */
  readonly maxConsumersPerParticipant: number;
}

/** The bounds where nothing else is configured. */
export const defaultLimits: SfuLimits = {
  maxCalls: 200,
  maxParticipantsPerCall: 32,
  maxTransportsPerParticipant: 4,
  maxProducersPerParticipant: 4,
  maxConsumersPerParticipant: 128,
};
