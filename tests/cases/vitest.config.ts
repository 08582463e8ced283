import { defineConfig } from 'vitest/config';
import base from '../../vitest.config.ts';

/** As the whole suite runs, but for the deployments and rolling updates that take minutes. */
export default defineConfig({
  test: { ...base.test, include: ['tests/cases/{deploy,least-privilege,sls}.test.ts'], exclude: [] },
});
