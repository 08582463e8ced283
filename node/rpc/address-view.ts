import ipaddr from 'ipaddr.js';
import type { Member } from '../../domain/member.ts';

/** A member as the course's clients know one: `[ip, port, id]`. */
export type NodeOnWire = readonly [ip: string, port: number, id: number];

/**
 * Which of a member's two addresses a caller is given: the private one inside the VPC, where the public one would
 * leave the network and be billed; the public one to everybody else, who cannot reach the private one.
 */
export class AddressView {
  readonly #vpc: readonly [ipaddr.IPv4 | ipaddr.IPv6, number];

  /** @param vpcCidr such as `10.0.0.0/16`. @throws Error when it is not a CIDR block. */
  constructor(vpcCidr: string) {
    this.#vpc = ipaddr.parseCIDR(vpcCidr);
  }

  isInside(address: string): boolean {
    if (!ipaddr.isValid(address)) return false;
    const parsed = ipaddr.process(address);
    return parsed.kind() === this.#vpc[0].kind() && parsed.match(this.#vpc[0], this.#vpc[1]);
  }

  nodeFor(member: Pick<Member, 'privateIp' | 'publicIp' | 'chordPort' | 'id'>, caller: string): NodeOnWire {
    return [this.isInside(caller) ? member.privateIp : member.publicIp, member.chordPort, member.id];
  }
}
