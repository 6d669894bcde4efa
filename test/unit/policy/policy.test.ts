// The policy's tables, and the property that nobody is ever measured without their own consent.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createPolicy, policyReasons } from '../../../src/policy/policy.ts';
import { educationRoles, euRegions, profiles, workRoles } from '../../../src/policy/profiles.ts';
import type { CallInfo, ConsentState, ParticipantInfo } from '../../../src/sfu/types.ts';

const person = (role: string, consent: ConsentState = 'granted'): ParticipantInfo => ({ callId: 'c', participantId: 'p', role, consent });
const call = (purpose = 'conversation', region = 'EU'): CallInfo => ({ callId: 'c', purpose, region });

describe('createPolicy', () => {
  it.each<[string, string, ConsentState, string, string, boolean, string]>([
    ['personal', 'guest', 'granted', 'conversation', 'EU', true, 'consented'],
    ['personal', 'employee', 'granted', 'conversation', 'EU', true, 'consented'],
    ['personal', 'guest', 'unknown', 'conversation', 'EU', false, 'no-consent'],
    ['personal', 'guest', 'denied', 'conversation', 'EU', false, 'consent-denied'],
    ['personal', 'guest', 'withdrawn', 'conversation', 'EU', false, 'consent-withdrawn'],
    ['call-centre', 'customer', 'granted', 'support', 'EU', true, 'consented'],
    ['call-centre', 'customer', 'denied', 'support', 'EU', false, 'consent-denied'],
    ['call-centre', 'agent', 'granted', 'support', 'EU', false, 'role-denied'],
    ['call-centre', 'agent', 'granted', 'support', 'US', false, 'role-denied'],
    ['call-centre', 'guest', 'granted', 'support', 'EU', false, 'role-denied'],
    ['call-centre', 'customer', 'granted', 'conversation', 'EU', false, 'purpose-denied'],
    ['eu-workplace', 'employee', 'granted', 'conversation', 'EU', false, 'role-denied'],
    ['eu-workplace', 'agent', 'granted', 'conversation', 'US', false, 'role-denied'],
    ['eu-workplace', 'student', 'granted', 'conversation', 'EU', false, 'role-denied'],
    ['eu-workplace', 'teacher', 'granted', 'conversation', 'EU', false, 'role-denied'],
    ['eu-workplace', 'customer', 'granted', 'conversation', 'EU', true, 'consented'],
    ['eu-workplace', 'guest', 'withdrawn', 'conversation', 'EU', false, 'consent-withdrawn'],
    ['personal', 'employee', 'granted', 'workplace', 'EU', false, 'prohibited-eu'],
    ['personal', ' Employee ', 'granted', 'Workplace', 'eu', false, 'prohibited-eu'],
    ['personal', 'student', 'granted', 'education', 'DE', false, 'prohibited-eu'],
    ['personal', 'guest', 'granted', 'workplace', 'EU', false, 'prohibited-eu'],
    ['personal', 'customer', 'granted', 'workplace', 'EU', true, 'consented'],
    ['personal', 'employee', 'granted', 'workplace', '', false, 'prohibited-eu'],
    ['personal', 'employee', 'granted', 'workplace', 'US', true, 'consented'],
    ['no-such-profile', 'guest', 'granted', 'conversation', 'EU', false, 'unknown-profile'],
    ['constructor', 'guest', 'granted', 'conversation', 'EU', false, 'unknown-profile'],
  ])(
    'profile %s, role "%s", consent %s, purpose %s, region "%s": allow %s (%s)',
    (profile, role, consent, purpose, region, allow, reason) => {
      expect(createPolicy({ profile })(person(role, consent), call(purpose, region))).toEqual({ allow, reason });
    },
  );

  it('is the personal profile by default', () => {
    expect(createPolicy()(person('guest'), call())).toEqual({ allow: true, reason: 'consented' });
  });

  it('denies a consent state that it does not know', () => {
    expect(createPolicy()(person('guest', 'yes' as ConsentState), call())).toEqual({ allow: false, reason: 'no-consent' });
  });

  it('denies people at work and in education in every profile and every region of the EU', () => {
    for (const profile of Object.keys(profiles)) {
      for (const region of euRegions) {
        for (const role of [...workRoles, ...educationRoles]) {
          for (const purpose of ['workplace', 'education']) {
            expect(createPolicy({ profile })(person(role), call(purpose, region)).allow).toBe(false);
          }
        }
      }
    }
  });

  it('never allows without granted consent, whatever else is said', () => {
    const word = fc.oneof(fc.string(), fc.constantFrom('customer', 'guest', 'employee', 'support', 'workplace', 'EU', 'US'));
    fc.assert(
      fc.property(
        fc.oneof(fc.constantFrom(...Object.keys(profiles)), fc.string()),
        word,
        fc.oneof(fc.constantFrom('unknown', 'denied', 'withdrawn', 'granted'), fc.string()),
        word,
        word,
        (profile, role, consent, purpose, region) => {
          const decision = createPolicy({ profile })(person(role, consent as ConsentState), call(purpose, region));
          if (consent !== 'granted') expect(decision.allow).toBe(false);
          expect(decision.allow).toBe(decision.reason === 'consented');
          expect(policyReasons).toContain(decision.reason);
        },
      ),
      { numRuns: 1000 },
    );
  });
});
