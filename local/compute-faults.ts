/** Things that go wrong on real machines, on request. Unknown instance ids throw. */
export interface ComputeFaults {
  /** SIGSTOP: the machine hangs, its sockets stay open. */
  freeze(instanceId: string): void;
  thaw(instanceId: string): void;
  /** SIGKILL: the machine is gone. */
  crash(instanceId: string): void;
  /** The instance's metadata service stops answering (or answers again). */
  silenceMetadata(instanceId: string, silent: boolean): void;
  /** These machines reach each other, and neither reach nor are reached by any other; packets vanish silently. */
  partition(instanceIds: readonly string[]): void;
  /** No service of AWS can be reached from the machine; its peers, its clients and its metadata service can. */
  cutFromCloud(instanceId: string): void;
  /** Ends every cut of these machines; what was on its way arrives. */
  heal(instanceIds: readonly string[]): void;
  /** Sets the machine's wall clock ahead by this much, or behind; 0 sets it right. */
  skewClock(instanceId: string, ms: number): void;
  /** Whether packets of peers to public addresses are dropped, as by a security group that names itself. */
  enforceSecurityGroup(isEnforced: boolean): void;
  /** Two (scaled) minutes' notice, then EC2 takes the machine. */
  interruptSpot(instanceId: string): void;
  recommendRebalance(instanceId: string): void;
  /** `*:Wait` is visible this long before `CompleteLifecycleAction` accepts it, in cloud ms; 0 turns it off. */
  delayLifecycleCompletion(cloudMs: number): void;
  /** The next `count` launches fail with this status message (capacity, quota, AMI). */
  failLaunches(count: number, statusMessage: string): void;
  /**
   * The next `count` machines come up without a node: `hang` (the boot script never gets to it) or `damagedBundle`
   * (its checksum is wrong, so the boot script gives the instance up).
   */
  failBoots(count: number, how: 'hang' | 'damagedBundle'): void;
  /** The next `count` machines get no public address. */
  withholdPublicIp(count: number): void;
  /** EC2 tells of a new machine, and of its public address, only this long after its launch; cloud ms, 0: at once. */
  delayDescribe(lag: { readonly instanceMs: number; readonly publicIpMs: number }): void;
}
