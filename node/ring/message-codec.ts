import type { Member, MemberPhase } from '../../domain/member.ts';
import type { RingMember } from '../../domain/replica-placement.ts';
import type {
  Answer,
  GrantBounds,
  LeaseAnswer,
  LeaseRequest,
  Pointers,
  RefusalReason,
  Request,
} from '../chord/message.ts';
import {
  booleanCodec,
  type Codec,
  identifierCodec,
  listCodec,
  numberCodec,
  optionalCodec,
  recordCodec,
  textCodec,
  unionCodec,
  wordCodec,
} from '../rpc/wire-codec.ts';

/** The core's requests and answers as MessagePack-RPC parameters and results, with every bound checked on receipt. */

/** Members of the largest ring, with room for those that left lately. */
const MAX_MEMBERS = 8_192;
/** Longer than any successor list. */
const MAX_LIST = 64;
const MAX_DIGESTS = 1_024;

const phase: Codec<MemberPhase> = wordCodec(['joining', 'active', 'draining', 'left']);
const port = numberCodec({ min: 0, max: 65_535 });
const counter = numberCodec({ min: 0, max: Number.MAX_SAFE_INTEGER });
const digest = numberCodec({ min: Number.MIN_SAFE_INTEGER, max: Number.MAX_SAFE_INTEGER });
const durationMs = numberCodec({
  min: Number.MIN_SAFE_INTEGER,
  max: Number.MAX_SAFE_INTEGER,
  isFraction: true,
});
const address = textCodec(45);

const memberFields = {
  id: identifierCodec,
  instanceId: textCodec(128),
  incarnation: counter,
  privateIp: address,
  publicIp: address,
  chordPort: port,
  httpPort: port,
  availabilityZone: textCodec(64),
};
export const memberCodec = recordCodec<Member>(memberFields);
const member = memberCodec;
const ringMember = recordCodec<RingMember>({ ...memberFields, phase });
const changes = listCodec(ringMember, MAX_MEMBERS);
const successorList = listCodec(member, MAX_LIST);

/** For what is kept on disk, too. */
export const memberListCodec: Codec<readonly Member[]> = listCodec(member, MAX_MEMBERS);

const grant = optionalCodec(
  recordCodec<GrantBounds>({
    member,
    arcFrom: optionalCodec(identifierCodec),
    leaseMs: durationMs,
    rightMs: durationMs,
  }),
);
const leaseRequest = optionalCodec(
  recordCodec<LeaseRequest>({ arcFrom: identifierCodec, sequence: counter, grantee: grant }),
);
const leaseAnswer = optionalCodec(
  unionCodec<LeaseAnswer>({
    granted: recordCodec({}),
    noted: recordCodec({}),
    noRight: recordCodec({}),
    askOther: recordCodec({ member: ringMember }),
    replaced: recordCodec({}),
  }),
);
const pointers = recordCodec<Pointers>({
  predecessor: optionalCodec(member),
  predecessorIsDead: booleanCodec,
  successorList,
  arcFrom: optionalCodec(identifierCodec),
  isAdmitting: booleanCodec,
});
const refusalReason: Codec<RefusalReason> = wordCodec([
  'idTaken',
  'notIdeal',
  'staleFence',
  'notResponsible',
  'notSettled',
]);

export const requestCodec = unionCodec<Request>({
  ping: recordCodec({}),
  pingVia: recordCodec({ target: member }),
  stabilize: recordCodec({
    from: ringMember,
    notify: booleanCodec,
    knownDigest: digest,
    lease: leaseRequest,
    changes,
    tableDigest: digest,
  }),
  describe: recordCodec({}),
  announce: recordCodec({ changes, until: identifierCodec }),
  exchange: recordCodec({ from: ringMember, digests: listCodec(digest, MAX_DIGESTS) }),
  lookup: recordCodec({ key: identifierCodec, suspects: listCodec(textCodec(128), MAX_LIST) }),
  admit: recordCodec({ from: member, fence: counter }),
  joinAfter: recordCodec({ from: member, fence: counter }),
  activate: recordCodec({ from: member }),
  handOver: recordCodec({ from: member, arcFrom: identifierCodec, sequence: counter, grant }),
  leave: recordCodec({ from: ringMember, predecessor: optionalCodec(member), successorList }),
  resume: recordCodec({ from: member }),
  askVote: recordCodec({ from: member, about: member, servingDigest: digest }),
  revive: recordCodec({ from: member, initiator: member }),
});

export const answerCodec = unionCodec<Answer>({
  pong: recordCodec({ self: ringMember }),
  pinged: recordCodec({ incarnation: optionalCodec(counter), refused: booleanCodec }),
  pointers: recordCodec({
    self: ringMember,
    pointersDigest: digest,
    pointers: optionalCodec(pointers),
    lease: leaseAnswer,
    changes,
    tableDigest: digest,
  }),
  members: recordCodec({ members: changes }),
  mine: recordCodec({ self: ringMember }),
  redirect: recordCodec({ to: listCodec(ringMember, MAX_LIST) }),
  admitted: recordCodec({ predecessor: member, minimumIncarnation: counter }),
  refused: recordCodec({ reason: refusalReason, to: optionalCodec(member) }),
  ceded: recordCodec({ arcFrom: identifierCodec, grant }),
  pending: recordCodec({}),
  askOther: recordCodec({ member: ringMember }),
  replaced: recordCodec({}),
  vote: recordCodec({ consent: booleanCodec, changes }),
  revived: recordCodec({ next: member, hasRight: booleanCodec }),
  done: recordCodec({}),
  notReady: recordCodec({ self: member, isResuming: booleanCodec }),
});
