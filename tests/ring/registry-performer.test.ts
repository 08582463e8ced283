import { expect, test } from 'vitest';
import type { RegistryRequest } from '../../node/chord/event.ts';
import { MemoryRegistry } from '../../node/ring/memory-registry.ts';
import { RegistryPerformer } from '../../node/ring/registry-performer.ts';
import { testMember } from '../files/cluster.ts';

async function ask(performer: RegistryPerformer, request: RegistryRequest) {
  const event = await performer.perform({ kind: 'askRegistry', requestId: 1, request });
  return event.kind === 'registryAnswered' ? event.answer.kind : undefined;
}

test('a newcomer that must come back as a later life gives the admission lease of the earlier one back', async () => {
  const registry = new MemoryRegistry();
  let self = testMember('i-1', 7);
  const newcomer = new RegistryPerformer(registry, () => self);
  const next = new RegistryPerformer(registry, () => testMember('i-2', 9));
  expect(await ask(newcomer, { kind: 'acquireAdmission' })).toBe('admissionGranted');
  expect(await ask(next, { kind: 'acquireAdmission' })).toBe('admissionBusy');

  self = { ...self, incarnation: self.incarnation + 1 };
  await ask(newcomer, { kind: 'releaseAdmission' });

  expect(await ask(next, { kind: 'acquireAdmission' })).toBe('admissionGranted');
});

test('the lease is renewed for the life that took it', async () => {
  const registry = new MemoryRegistry();
  let self = testMember('i-1', 7);
  const newcomer = new RegistryPerformer(registry, () => self);
  await ask(newcomer, { kind: 'acquireAdmission' });

  self = { ...self, incarnation: self.incarnation + 1 };

  expect(await ask(newcomer, { kind: 'acquireAdmission' })).toBe('admissionGranted');
});
