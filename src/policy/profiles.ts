// The policy's profiles and role tables, as data.

/** A profile's rule. Consent is asked for in all of them; these fields can only deny more. */
export interface PolicyProfile {
  /** Roles that may be measured; `any` for every role that is not denied. */
  readonly allowedRoles: 'any' | readonly string[];
  /** Roles that are never measured, whatever their consent. */
  readonly deniedRoles: readonly string[];
  /** Purposes of a call in which anyone may be measured. */
  readonly purposes: 'any' | readonly string[];
}

/** People at work, in training, or seeking either: whom Art. 5(1)(f) of the EU AI Act protects. */
export const workRoles: readonly string[] = [
  'employee',
  'worker',
  'staff',
  'agent',
  'supervisor',
  'manager',
  'contractor',
  'intern',
  'apprentice',
  'trainee',
  'candidate',
  'applicant',
];

/** People in education, on either side of the desk. */
export const educationRoles: readonly string[] = ['student', 'pupil', 'learner', 'teacher', 'tutor', 'instructor', 'lecturer', 'professor'];

/** Roles that do not say who a person is. At work or school in the EU, they could be anyone. */
export const unclearRoles: readonly string[] = ['', 'guest', 'participant', 'unknown', 'user'];

/** Purposes that the EU AI Act's prohibition is about. */
export const prohibitedPurposesEu: readonly string[] = ['workplace', 'education'];

/** Regions in which it holds, lower case: the Union, the European Economic Area, and their members. */
export const euRegions: readonly string[] =
  'eu eea at be bg hr cy cz dk ee fi fr de gr hu ie it lv lt lu mt nl pl pt ro sk si es se is li no'.split(' ');

/** The profiles that configuration may name. */
export const profiles = {
  /** Whoever granted consent, in any role. */
  personal: { allowedRoles: 'any', deniedRoles: [], purposes: 'any' },
  /** Customers who granted consent, in calls of customer service. */
  'call-centre': { allowedRoles: ['customer'], deniedRoles: [], purposes: ['call-centre', 'customer-service', 'support', 'sales'] },
  /** Never people at work or in education; others by consent. */
  'eu-workplace': { allowedRoles: 'any', deniedRoles: [...workRoles, ...educationRoles], purposes: 'any' },
} as const satisfies Record<string, PolicyProfile>;
