import { type MemberRecord, PHASE_OF, parseMember } from '../../domain/member-record.ts';
import { CHORD_PORT, HTTP_PORT } from '../../domain/node-environment.ts';
import type { RingMember } from '../../domain/replica-placement.ts';
import { deathsKey, isDead, parseDeaths } from '../../domain/ring-registry.ts';
import { type ItemStore, NODE_PREFIX, ringPartition } from '../../domain/table-writes.ts';

/** Every row of the stage, whatever its state. */
async function readMembers(store: ItemStore, stage: string): Promise<readonly MemberRecord[]> {
  const items = await store.list(ringPartition(stage), NODE_PREFIX);
  return items.flatMap((item) => parseMember(item) ?? []);
}

/** The row as the ring sees it; undefined for one that the ring has not met, or that has left it. */
function ringMemberOf(record: MemberRecord): RingMember | undefined {
  const phase = PHASE_OF[record.state];
  if (phase === undefined || phase === 'left' || record.position === undefined) return undefined;
  return {
    id: record.position,
    instanceId: record.instanceId,
    incarnation: record.incarnation,
    privateIp: record.privateIp,
    publicIp: record.publicIp,
    chordPort: CHORD_PORT,
    httpPort: HTTP_PORT,
    availabilityZone: record.availabilityZone,
    phase,
  };
}

/** Members of one ring that are not declared dead: a superset of the ring at all times. */
export async function readLiveMembers(
  store: ItemStore,
  stage: string,
  ringId: string,
): Promise<readonly { readonly record: MemberRecord; readonly member: RingMember }[]> {
  const [records, deaths] = await Promise.all([
    readMembers(store, stage),
    store.get(deathsKey(stage, ringId)).then(parseDeaths),
  ]);
  return records.flatMap((record) => {
    const member = record.ringId === ringId ? ringMemberOf(record) : undefined;
    return member === undefined || isDead(deaths, member) ? [] : [{ record, member }];
  });
}
