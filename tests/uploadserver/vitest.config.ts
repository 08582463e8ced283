import { defineConfig } from 'vitest/config';
import base from '../../vitest.config.ts';

/** As the whole suite runs, but for what needs Python's uploadserver: see `requirements.txt`. */
export default defineConfig({
  test: { ...base.test, include: ['tests/uploadserver/*.check.ts'], exclude: [] },
});
