import { ChordfsError } from '../../domain/errors.ts';
import { isIdentifier } from '../../domain/identifier.ts';
import { expectArguments } from '../ring/client-methods.ts';
import { badArgument } from '../rpc/rpc-error.ts';
import type { RpcMethods } from '../rpc/rpc-methods.ts';
import { courseNodeFrom, courseNodeToWire, UNKNOWN_NODE } from './course-node.ts';
import type { CourseRing } from './course-ring.ts';

const SUCCESSORS_TOLD = 3;

/** The course binary's surface, open to everybody as there; a bad call gets an error and changes nothing. */
export function addCourseMethods(methods: RpcMethods, ring: CourseRing, onKill: () => void): void {
  const { self } = ring.view;
  const expectMember = (): void => {
    if (!ring.isMember) throw new ChordfsError('NODE_NOT_READY');
  };
  methods.addOpen('get_info', (params) => {
    expectArguments('get_info', params, 0);
    return courseNodeToWire(self);
  });
  methods.addOpen('create', (params) => {
    expectArguments('create', params, 0);
    ring.create();
    return null;
  });
  methods.addOpen('join', async (params) => {
    expectArguments('join', params, 1);
    const contact = courseNodeFrom(params[0]);
    if (contact === undefined) throw badArgument('join', 'not a node');
    await ring.join(contact);
    return null;
  });
  methods.addOpen('find_successor', async (params) => {
    expectArguments('find_successor', params, 1);
    const [id] = params;
    if (!isIdentifier(id)) throw badArgument('find_successor', 'not an identifier');
    return courseNodeToWire(await ring.findSuccessor(id));
  });
  methods.addOpen('get_predecessor', (params) => {
    expectArguments('get_predecessor', params, 0);
    const { predecessor } = ring.view;
    return predecessor === undefined ? UNKNOWN_NODE : courseNodeToWire(predecessor);
  });
  methods.addOpen('get_successor', (params) => {
    expectArguments('get_successor', params, 1);
    const [index] = params;
    if (typeof index !== 'number' || !Number.isInteger(index) || index < 0 || index >= SUCCESSORS_TOLD) {
      throw badArgument('get_successor', 'index out of range');
    }
    expectMember();
    return courseNodeToWire(ring.view.successors[index] ?? self);
  });
  methods.addOpen('notify', (params) => {
    expectArguments('notify', params, 1);
    const by = courseNodeFrom(params[0]);
    if (by === undefined) throw badArgument('notify', 'not a node');
    ring.notified(by);
    return null;
  });
  methods.addOpen('kill', (params) => {
    expectArguments('kill', params, 0);
    onKill();
    return null;
  });
}
