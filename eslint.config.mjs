// ESLint: typescript-eslint's strictest typed rules, plus the layering of DESIGN: one direction, one folder a stage.
import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';

/** The stages in the order of the data. Each may import itself, root helpers and the `types.ts` of the stage before it. */
const stages = ['sfu', 'pipeline', 'models', 'gateway'];

const coreRules = {
  'array-callback-return': 'error',
  curly: ['error', 'multi-line'],
  'default-case-last': 'error',
  eqeqeq: 'error',
  'no-console': 'error',
  'no-constant-condition': ['error', { checkLoops: 'allExceptWhileTrue' }],
  'no-control-regex': 'error',
  'no-debugger': 'error',
  'no-duplicate-case': 'error',
  'no-else-return': 'error',
  'no-empty': 'error',
  'no-fallthrough': 'error',
  'no-param-reassign': 'error',
  'no-promise-executor-return': 'error',
  'no-self-compare': 'error',
  'no-template-curly-in-string': 'error',
  'no-unsafe-finally': 'error',
  'no-unsafe-optional-chaining': 'error',
  'no-useless-escape': 'error',
  'no-var': 'error',
  'object-shorthand': 'error',
  'prefer-const': 'error',
  'prefer-object-has-own': 'error',
  'use-isnan': 'error',
  'valid-typeof': 'error',
};

const typedRules = {
  '@typescript-eslint/consistent-type-exports': 'error',
  '@typescript-eslint/consistent-type-imports': 'error',
  '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
  '@typescript-eslint/no-import-type-side-effects': 'error',
  '@typescript-eslint/no-unnecessary-condition': ['error', { allowConstantLoopConditions: 'only-allowed-literals' }],
  '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_', caughtErrors: 'none' }],
  '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
  '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
};

/** Forbids imports that go against or around the way of the data, in one stage's folder. */
function layering(stage) {
  const before = stages[stages.indexOf(stage) - 1];
  const others = stages.filter((name) => name !== stage).join('|');
  const allowed = before === undefined ? '' : `(?!${before}/types\\.ts$)`;
  return {
    files: [`src/${stage}/**/*.ts`],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            {
              regex: `^(\\.\\./)+${allowed}(${others})/`,
              message: `src/${stage} may import itself, root helpers${before === undefined ? '' : ` and ${before}/types.ts`}.`,
            },
            { regex: '^(\\.\\./)+(app|cli|index|config)\\.ts$', message: 'Only src/app.ts and what starts it know all stages.' },
          ],
        },
      ],
      'no-restricted-properties': [
        'error',
        { object: 'process', property: 'env', message: 'Take an option; only configuration reads it.' },
      ],
    },
  };
}

export default defineConfig(
  {
    ignores: [
      '**/node_modules/',
      '**/dist/',
      '**/coverage/',
      '**/.cache/',
      'training/',
      'assets/',
      'src/assembly/',
      'src/*/kernel/assembly/',
    ],
  },
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  {
    files: ['**/*.{ts,tsx,mts}'],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: { ...coreRules, ...typedRules },
  },
  ...stages.map(layering),
  {
    files: ['client-sdk/**/*.ts', 'client-sdk/**/*.tsx'],
    rules: {
      'no-restricted-imports': [
        'error',
        { patterns: [{ regex: '^(\\.\\./)+(src|config|tools)/(?!.*client-sdk)', message: 'The SDK imports nothing from the server.' }] },
      ],
    },
  },
  {
    // Command-line tools speak to a person: console is their output.
    files: ['tools/**/*.ts'],
    rules: { 'no-console': 'off' },
  },
  {
    // Tests may assert what they know, and speak of half-made objects.
    files: ['test/**/*.ts'],
    rules: {
      'no-control-regex': 'off',
      'no-promise-executor-return': 'off',
      '@typescript-eslint/no-empty-function': 'off',
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/require-await': 'off',
      '@typescript-eslint/unbound-method': 'off',
    },
  },
  {
    // Set-up and configuration: plain JavaScript, run before any package is installed.
    files: ['**/*.{js,mjs}'],
    extends: [tseslint.configs.base],
    rules: { ...coreRules, 'no-console': 'off', 'no-unused-vars': ['error', { argsIgnorePattern: '^_', caughtErrors: 'none' }] },
  },
);
