import { ChordfsError } from '../../domain/errors.ts';
import { type Identifier, isIdentifier } from '../../domain/identifier.ts';
import type { Member } from '../../domain/member.ts';
import type { AddressView, NodeOnWire } from '../rpc/address-view.ts';
import { badArgument, wrongArgumentCount } from '../rpc/rpc-error.ts';
import type { RpcHandler, RpcMethods } from '../rpc/rpc-methods.ts';

/** What the course's clients may ask of a member. */
export interface ClientQueries {
  /** @throws ChordfsError `NODE_NOT_READY` from all of them while this node is not in a ring. */
  self(): Member;
  /** `caller`: the address that the question came from. */
  findSuccessor(id: Identifier, caller: string, signal: AbortSignal): Promise<Member>;
  predecessor(): Member | undefined;
  /** The members after this one, clockwise; itself when it is alone. */
  successor(index: number): Member | undefined;
}

/** The successors that `get_successor` tells; the course's tests ask for 0, 1 and 2. */
const SUCCESSORS_TOLD = 3;
const UNKNOWN: NodeOnWire = ['', 0, 0];

/** The course's method surface on a member of a managed ring: reading is free, changing is the control plane's. */
export function addClientMethods(methods: RpcMethods, queries: ClientQueries, addresses: AddressView): void {
  methods.addOpen('get_info', (params, { remoteAddress }) => {
    expectArguments('get_info', params, 0);
    return addresses.nodeFor(queries.self(), remoteAddress);
  });
  // `upload.py` calls this before every upload. The course's own node then forgets its ring; a member must not.
  methods.addOpen('create', (params) => {
    expectArguments('create', params, 0);
    queries.self();
    return null;
  });
  methods.addOpen('find_successor', async (params, { remoteAddress }, signal) => {
    expectArguments('find_successor', params, 1);
    const [id] = params;
    if (!isIdentifier(id)) throw badArgument('find_successor', 'not an identifier');
    return addresses.nodeFor(await queries.findSuccessor(id, remoteAddress, signal), remoteAddress);
  });
  methods.addOpen('get_predecessor', (params, { remoteAddress }) => {
    expectArguments('get_predecessor', params, 0);
    const predecessor = queries.predecessor();
    return predecessor === undefined ? UNKNOWN : addresses.nodeFor(predecessor, remoteAddress);
  });
  methods.addOpen('get_successor', (params, { remoteAddress }) => {
    expectArguments('get_successor', params, 1);
    const [index] = params;
    if (typeof index !== 'number' || !Number.isInteger(index) || index < 0 || index >= SUCCESSORS_TOLD) {
      throw badArgument('get_successor', 'index out of range');
    }
    const successor = queries.successor(index) ?? queries.self();
    return addresses.nodeFor(successor, remoteAddress);
  });
  for (const name of ['join', 'notify', 'kill']) methods.addOpen(name, refused);
}

const refused: RpcHandler = () => {
  throw new ChordfsError('FORBIDDEN', { reason: 'the ring is managed' });
};

/** @throws BadCallError */
export function expectArguments(method: string, params: readonly unknown[], expected: number): void {
  if (params.length !== expected) throw wrongArgumentCount(method, { expected, found: params.length });
}
