import { expect, test } from 'vitest';
import { ProgressMeter } from '../../node/movement/progress.ts';

test('what is found again by a second comparison is missing once, not twice', () => {
  const meter = new ProgressMeter(() => 0);
  meter.comparesAnew();
  meter.found(600);
  meter.found(400);
  meter.moved(300, { isFile: false });
  expect(meter.read().bytesLeft).toBe(700);

  // The first one failed half-way; nobody knows better until the next has looked.
  meter.comparesAnew();
  expect(meter.read().bytesLeft).toBe(700);
  meter.found(300);
  meter.found(400);

  expect(meter.read().bytesLeft).toBe(700);
});
