import { expect, test } from 'vitest';
import { courseIdentifier } from '../../node/compat/course-identifier.ts';

test.each([
  ['127.0.0.1', 5057, 716_540_891],
  ['127.0.0.1', 5058, 1_324_994_620],
  ['127.0.0.1', 6001, 1_128_903_239],
])('%s:%i has the identifier that the course binary gives itself', (ip, port, expected) => {
  expect(courseIdentifier(ip, port)).toBe(expected);
});
