import { defineConfig } from 'vitest/config';
import base from '../../vitest.config.ts';

/** Cases that take minutes, with many processes: `npm run campaign:cases`, not part of `npm test`. */
export default defineConfig({
  test: { ...base.test, include: ['tests/cases/*.campaign.ts'], exclude: [] },
});
