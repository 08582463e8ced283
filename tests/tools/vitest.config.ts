import { defineConfig } from 'vitest/config';
import { ClosingLine } from '../closing-line.ts';

/** Checks that need programs of others (docs/deploy.md says which): scripts of their own, not part of `npm test`. */
export default defineConfig({
  test: {
    include: ['tests/tools/**/*.check.ts'],
    fileParallelism: false,
    pool: 'forks',
    // Some deploy or package, on a machine that may be busy.
    testTimeout: 180_000,
    hookTimeout: 180_000,
    env: { AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true' },
    reporters: ['default', new ClosingLine()],
  },
});
