import { z } from 'zod';
import type { ComputeFaults } from '../compute-faults.ts';
import type { Fault, Faults } from '../faults.ts';

/** What a fault that is in force can be asked to do. */
export interface Applied {
  /** What it has met so far; undefined for a fault that is a state and meets nothing. */
  readonly hits?: () => number;
  /** Undefined when there is nothing to take back: the machine is gone, the warning was given. */
  readonly lift?: (order: 'asHeld' | 'reversed') => void;
}

interface Breakable {
  readonly faults: Faults;
  readonly compute: ComputeFaults;
}

const count = z.number().int().min(1).optional();
const ms = z.number().min(0);
const instanceId = z.string().min(1);
/** Which deliveries: everything that is not named matches. */
const delivery = { detailType: z.string().optional(), rule: z.string().optional(), count };
/** Which calls; `caller` is an instance's id or a function's name. */
const call = { service: z.string(), operation: z.string().optional(), caller: z.string().optional(), count };

type Delivery = z.infer<z.ZodObject<typeof delivery>>;
type Call = z.infer<z.ZodObject<typeof call>>;

const deliveries =
  ({ detailType, rule }: Delivery): Parameters<Faults['dropEvents']>[0] =>
  ({ event, ruleName }) =>
    (detailType === undefined || event['detail-type'] === detailType) &&
    (rule === undefined || ruleName === rule);
const calls =
  ({ service, operation, caller }: Call): Parameters<Faults['throttle']>[0] =>
  (met) =>
    met.service === service &&
    (operation === undefined || met.operation === operation) &&
    (caller === undefined || met.session === caller);
const counted = ({ hits, end }: Fault): Applied => ({ hits, lift: end });

/** One request of each kind: what its body must be, and what it does. */
function request<Shape extends z.ZodRawShape>(
  shape: Shape,
  apply: (input: z.infer<z.ZodObject<Shape>>, what: Breakable) => Applied,
) {
  const schema = z.strictObject(shape);
  return {
    schema,
    apply: (body: unknown, what: Breakable): Applied =>
      apply(schema.parse(body) as z.infer<z.ZodObject<Shape>>, what),
  };
}

/** A state of one machine, with how it is undone. */
function machine(
  apply: (compute: ComputeFaults, id: string) => void,
  undo?: (compute: ComputeFaults, id: string) => void,
) {
  return request({ instanceId }, (input, { compute }) => {
    apply(compute, input.instanceId);
    return undo === undefined ? {} : { lift: () => undo(compute, input.instanceId) };
  });
}

/** Everything that can be asked to go wrong, by the `kind` of the request. See docs/local-cloud.md. */
export const FAULT_REQUESTS = {
  'drop-events': request(delivery, (input, { faults }) =>
    counted(faults.dropEvents(deliveries(input), input.count)),
  ),
  'duplicate-events': request(
    { ...delivery, copies: z.number().int().min(2).max(100) },
    (input, { faults }) => counted(faults.duplicateEvents(deliveries(input), input.copies, input.count)),
  ),
  'delay-events': request({ ...delivery, delayMs: ms }, (input, { faults }) =>
    counted(faults.delayEvents(deliveries(input), input.delayMs, input.count)),
  ),
  'hold-events': request(delivery, (input, { faults }) => {
    const held = faults.holdEvents(deliveries(input), input.count);
    const reversed = (kept: readonly (() => void)[]) => [...kept].reverse();
    return {
      hits: held.hits,
      lift: (order) => (order === 'reversed' ? held.release(reversed) : held.release()),
    };
  }),
  throttle: request(call, (input, { faults }) => counted(faults.throttle(calls(input), input.count))),
  'cut-calls': request(call, (input, { faults }) =>
    counted(faults.calls.add(calls(input), { kind: 'reset' }, input.count)),
  ),
  'lose-answers': request(call, (input, { faults }) =>
    counted(faults.loseAnswers(calls(input), input.count)),
  ),
  'delay-calls': request({ ...call, delayMs: ms }, (input, { faults }) =>
    counted(faults.calls.add(calls(input), { kind: 'delay', delayMs: input.delayMs }, input.count)),
  ),
  'kill-caller-after': request({ ...call, skip: z.number().int().min(0).default(0) }, (input, { faults }) =>
    counted(faults.killCallerAfter(calls(input), input.skip)),
  ),
  outage: request({ service: z.string() }, (input, { faults }) => counted(faults.takeAway(input.service))),
  'crash-function': request({ function: z.string(), count }, (input, { faults }) =>
    counted(faults.crashFunction(input.function, input.count)),
  ),
  'throttle-function': request({ function: z.string(), count }, (input, { faults }) =>
    counted(faults.throttleFunction(input.function, input.count)),
  ),
  freeze: machine(
    (compute, id) => compute.freeze(id),
    (compute, id) => compute.thaw(id),
  ),
  kill: machine((compute, id) => compute.crash(id)),
  'silence-metadata': machine(
    (compute, id) => compute.silenceMetadata(id, true),
    (compute, id) => compute.silenceMetadata(id, false),
  ),
  partition: request({ instanceIds: z.array(instanceId).min(1) }, ({ instanceIds }, { compute }) => {
    compute.partition(instanceIds);
    return { lift: () => compute.heal(instanceIds) };
  }),
  'cut-from-cloud': machine(
    (compute, id) => compute.cutFromCloud(id),
    (compute, id) => compute.heal([id]),
  ),
  'skew-clock': request({ instanceId, skewMs: z.number() }, (input, { compute }) => {
    compute.skewClock(input.instanceId, input.skewMs);
    return { lift: () => compute.skewClock(input.instanceId, 0) };
  }),
  'enforce-security-group': request({}, (_input, { compute }) => {
    compute.enforceSecurityGroup(true);
    return { lift: () => compute.enforceSecurityGroup(false) };
  }),
  'interrupt-spot': machine((compute, id) => compute.interruptSpot(id)),
  'recommend-rebalance': machine((compute, id) => compute.recommendRebalance(id)),
  'delay-lifecycle-completion': request({ cloudMs: ms }, ({ cloudMs }, { compute }) => {
    compute.delayLifecycleCompletion(cloudMs);
    return { lift: () => compute.delayLifecycleCompletion(0) };
  }),
  'fail-launches': request(
    { count: z.number().int().min(1), message: z.string().default('There is no capacity.') },
    (input, { compute }) => {
      compute.failLaunches(input.count, input.message);
      return { lift: () => compute.failLaunches(0, '') };
    },
  ),
  'fail-boots': request(
    { count: z.number().int().min(1), how: z.enum(['hang', 'damagedBundle']) },
    (input, { compute }) => {
      compute.failBoots(input.count, input.how);
      return { lift: () => compute.failBoots(0, input.how) };
    },
  ),
  'withhold-public-ip': request({ count: z.number().int().min(1) }, (input, { compute }) => {
    compute.withholdPublicIp(input.count);
    return { lift: () => compute.withholdPublicIp(0) };
  }),
  'delay-describe': request({ instanceMs: ms, publicIpMs: ms }, (lag, { compute }) => {
    compute.delayDescribe(lag);
    return { lift: () => compute.delayDescribe({ instanceMs: 0, publicIpMs: 0 }) };
  }),
} as const;

export type FaultKind = keyof typeof FAULT_REQUESTS;

export function isFaultKind(kind: unknown): kind is FaultKind {
  return typeof kind === 'string' && Object.hasOwn(FAULT_REQUESTS, kind);
}
