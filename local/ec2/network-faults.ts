import { CALM, type Unreachable, type Weather } from '../instances/weather.ts';

/** What the network needs to know of a machine. */
interface Host {
  readonly instanceId: string;
  readonly privateIp: string;
  /** '' for a machine without one. */
  readonly publicIp: string;
}

interface NetworkFaultsOptions {
  /** Every machine that is not terminated. */
  readonly hosts: () => readonly Host[];
  /** The one endpoint of all services. */
  readonly endpointUrl: () => string;
  /** First three octets of public addresses. */
  readonly publicPrefix: string;
  /** Brings a machine's new weather to it; machines that do not run yet ask at boot. */
  readonly tell: (instanceId: string, weather: Weather) => void;
}

/**
 * Which machines cannot reach each other or AWS, and whose clocks are wrong. Kept as facts about machines, so that
 * those that boot later are on the right side of a partition too.
 */
export class NetworkFaults {
  readonly #options: NetworkFaultsOptions;
  /** Machines by side of the partition; those that are not named are together on the other side. */
  readonly #sides = new Map<string, number>();
  readonly #cutFromCloud = new Set<string>();
  readonly #clockSkewMs = new Map<string, number>();
  #enforcesSecurityGroup = false;
  #sideCount = 0;

  constructor(options: NetworkFaultsOptions) {
    this.#options = options;
  }

  /** These machines reach each other and nobody else does. */
  partition(instanceIds: readonly string[]): void {
    this.#sideCount += 1;
    for (const instanceId of instanceIds) this.#sides.set(instanceId, this.#sideCount);
    this.tellAll();
  }

  cutFromCloud(instanceId: string): void {
    this.#cutFromCloud.add(instanceId);
    this.tellAll();
  }

  /** Ends every cut of these machines. */
  heal(instanceIds: readonly string[]): void {
    for (const instanceId of instanceIds) {
      this.#sides.delete(instanceId);
      this.#cutFromCloud.delete(instanceId);
    }
    this.tellAll();
  }

  skewClock(instanceId: string, ms: number): void {
    this.#clockSkewMs.set(instanceId, ms);
    this.tellAll();
  }

  /** As a security group that names itself does: what peers send to public addresses is dropped. */
  enforceSecurityGroup(isEnforced: boolean): void {
    this.#enforcesSecurityGroup = isEnforced;
    this.tellAll();
  }

  /** Once machines have come or gone. */
  tellAll(): void {
    for (const { instanceId } of this.#options.hosts()) {
      this.#options.tell(instanceId, this.weatherOf(instanceId));
    }
  }

  weatherOf(instanceId: string): Weather {
    const { hosts, endpointUrl, publicPrefix } = this.#options;
    const side = this.#sides.get(instanceId);
    const unreachable: Unreachable[] = hosts()
      .filter((host) => host.instanceId !== instanceId && this.#sides.get(host.instanceId) !== side)
      .flatMap(({ privateIp, publicIp }) => [privateIp, ...(publicIp === '' ? [] : [publicIp])])
      .map((address) => ({ address }));
    if (this.#cutFromCloud.has(instanceId)) {
      const { hostname, port } = new URL(endpointUrl());
      unreachable.push({ address: hostname, port: Number(port) });
    }
    if (this.#enforcesSecurityGroup) unreachable.push({ prefix: `${publicPrefix}.` });
    return { ...CALM, unreachable, clockSkewMs: this.#clockSkewMs.get(instanceId) ?? 0 };
  }
}
