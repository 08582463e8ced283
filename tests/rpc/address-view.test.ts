import { expect, test } from 'vitest';
import { identifier } from '../../domain/identifier.ts';
import { AddressView } from '../../node/rpc/address-view.ts';

const member = { privateIp: '10.0.1.5', publicIp: '203.0.113.5', chordPort: 5057, id: identifier(9) };

test.each([
  ['10.0.200.1', '10.0.1.5'],
  ['::ffff:10.0.200.1', '10.0.1.5'],
  ['10.1.0.1', '203.0.113.5'],
  ['198.51.100.7', '203.0.113.5'],
  ['::1', '203.0.113.5'],
  ['', '203.0.113.5'],
  ['not an address', '203.0.113.5'],
])('a caller from "%s" is given %s', (caller, ip) => {
  expect(new AddressView('10.0.0.0/16').nodeFor(member, caller)).toEqual([ip, 5057, 9]);
});

test('a block that is none is refused at once', () => {
  expect(() => new AddressView('10.0.0.0')).toThrow();
});
