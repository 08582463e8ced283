import type { Member } from '../../domain/member.ts';
import type { NodeState, Suspicion } from './node-state.ts';

/** Whether that member was given up, for now: not a death yet, but nobody is sent there. */
export function hasVerdict(node: NodeState, instanceId: string): boolean {
  return node.suspicions.get(instanceId)?.verdict !== undefined;
}

/** The verdict on this life of that member. */
export function verdictOn(node: NodeState, member: Member): Suspicion | undefined {
  const suspicion = node.suspicions.get(member.instanceId);
  if (suspicion?.verdict === undefined || suspicion.member.incarnation < member.incarnation) return undefined;
  return suspicion;
}
