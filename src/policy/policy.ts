// The policy engine: whether a participant may be measured, from role, purpose, region and consent.
import type { CallInfo, ConsentState, Decide, Decision, ParticipantInfo } from '../sfu/types.ts';
import { educationRoles, euRegions, profiles, prohibitedPurposesEu, unclearRoles, workRoles, type PolicyProfile } from './profiles.ts';

/** Every word that a decision may give as its reason. They are stable: events and the audit log carry them. */
export const policyReasons = [
  'consented',
  'no-consent',
  'consent-denied',
  'consent-withdrawn',
  'role-denied',
  'purpose-denied',
  'prohibited-eu',
  'unknown-profile',
] as const;

/** One of {@link policyReasons}. */
export type PolicyReason = (typeof policyReasons)[number];

/** What a policy is made from. */
export interface PolicyOptions {
  /** Name of a profile in `profiles.ts`; any other name denies everyone. @default 'personal' */
  readonly profile?: string;
}

/**
 * Makes the policy of a profile: pure, synchronous, and denying wherever it is not told otherwise. Roles, purposes
 * and regions are compared without regard to case or surrounding space. Reasons that no consent can change come first.
 */
export function createPolicy(options: PolicyOptions = {}): Decide {
  const name = options.profile ?? 'personal';
  const profile: PolicyProfile | undefined = Object.hasOwn(profiles, name) ? profiles[name as keyof typeof profiles] : undefined;
  return (participant, call) => {
    const reason = profile === undefined ? 'unknown-profile' : reasonOf(profile, participant, call);
    return { allow: reason === 'consented', reason } satisfies Decision & { reason: PolicyReason };
  };
}

function reasonOf(profile: PolicyProfile, participant: ParticipantInfo, call: CallInfo): PolicyReason {
  const role = normalise(participant.role);
  const purpose = normalise(call.purpose);
  if (isProhibitedInEu(role, purpose, normalise(call.region))) return 'prohibited-eu';
  if (profile.purposes !== 'any' && !profile.purposes.includes(purpose)) return 'purpose-denied';
  if (profile.deniedRoles.includes(role)) return 'role-denied';
  if (profile.allowedRoles !== 'any' && !profile.allowedRoles.includes(role)) return 'role-denied';
  return consentReason(participant.consent);
}

/** Art. 5(1)(f) of Regulation (EU) 2024/1689. A call that does not say where it is counts as one in the EU. */
function isProhibitedInEu(role: string, purpose: string, region: string): boolean {
  if (!prohibitedPurposesEu.includes(purpose)) return false;
  if (region !== '' && region !== 'unknown' && !euRegions.includes(region)) return false;
  return workRoles.includes(role) || educationRoles.includes(role) || unclearRoles.includes(role);
}

function consentReason(consent: ConsentState): PolicyReason {
  switch (consent) {
    case 'granted':
      return 'consented';
    case 'denied':
      return 'consent-denied';
    case 'withdrawn':
      return 'consent-withdrawn';
    case 'unknown':
      return 'no-consent';
    default:
      // Not reachable by type; a host in JavaScript may still hand in anything.
      return 'no-consent';
  }
}

function normalise(word: string): string {
  return word.trim().toLowerCase();
}
