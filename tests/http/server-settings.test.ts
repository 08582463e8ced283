import { expect, test } from 'vitest';
import { DEFAULT_SETTINGS, readServerSettings } from '../../node/http/server-settings.ts';

const read = (variables: Record<string, string>) => readServerSettings(variables, '/nonexistent');

test('without settings files are replaced, everybody may, and there is no TLS', () => {
  expect(read({})).toEqual(DEFAULT_SETTINGS);
  expect(DEFAULT_SETTINGS).toMatchObject({
    options: { onConflict: 'replace' },
    tls: undefined,
    hasAccessLog: true,
  });
});

test('a password may hold colons', () => {
  expect(read({ CHORDFS_BASIC_AUTH: 'me:a:b' }).options.basicAuth).toEqual({ user: 'me', password: 'a:b' });
});

test.each([
  ['CHORDFS_ON_CONFLICT', 'overwrite', /CHORDFS_ON_CONFLICT must be one of replace, rename, refuse/],
  ['CHORDFS_THEME', 'blue', /CHORDFS_THEME/],
  ['CHORDFS_BASIC_AUTH_UPLOAD', 'secret', /^CHORDFS_BASIC_AUTH_UPLOAD must be user:password$/],
  ['CHORDFS_SERVER_CERTIFICATE', '/no/such/file', /cannot be read/],
  ['CHORDFS_CLIENT_CERTIFICATE', '/no/such/file', /needs CHORDFS_SERVER_CERTIFICATE/],
  ['CHORDFS_ACCESS_LOG', 'maybe', /CHORDFS_ACCESS_LOG must be one of on, off/],
])('%s=%s is refused by name', (name, value, message) => {
  expect(() => read({ [name]: value })).toThrow(message);
});
