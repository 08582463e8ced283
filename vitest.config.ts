import { configDefaults, defineConfig } from 'vitest/config';
import { ClosingLine } from './tests/closing-line.ts';

export default defineConfig({
  test: {
    include: ['tests/**/*.test.ts'],
    // Scripts of their own: `npm run test:course-clients` needs python3, `npm run test:deploy` takes minutes.
    exclude: [
      ...configDefaults.exclude,
      'tests/course-clients/**',
      'tests/cases/{deploy,least-privilege,sls}.test.ts',
    ],
    setupFiles: ['tests/property-seed.ts'],
    // Real processes on fixed ports share one machine: files run one after another, in their own process.
    fileParallelism: false,
    pool: 'forks',
    testTimeout: 30_000,
    hookTimeout: 120_000,
    // Its notice about Node.js 20 would stand in front of every file's results.
    env: { AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true' },
    reporters: ['default', new ClosingLine()],
  },
});
