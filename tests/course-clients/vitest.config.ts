import { defineConfig } from 'vitest/config';
import base from '../../vitest.config.ts';

/** As the whole suite runs, but for what needs python3 too. */
export default defineConfig({
  test: { ...base.test, include: ['tests/course-clients/*.test.ts'], exclude: [] },
});
