import { encode } from '@msgpack/msgpack';

/** Seeded, so that a failing run can be run again. */
export class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** Uniform in [0, 1): mulberry32. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  below(bound: number): number {
    return Math.floor(this.next() * bound);
  }

  pick<T>(choices: readonly [T, ...T[]]): T {
    return choices[this.below(choices.length)] ?? choices[0];
  }

  bytes(count: number): Buffer {
    return Buffer.from(Array.from({ length: count }, () => this.below(256)));
  }
}

const METHODS = [
  'get_info',
  'create',
  'find_successor',
  'get_predecessor',
  'get_successor',
  'join',
  'notify',
  'kill',
  'nosuch',
  'peer_hello',
  'peer_prove',
  'ring.step',
  'ring.restart',
  '',
  '__proto__',
  'constructor',
] as const;

const ODD_VALUES = [
  null,
  true,
  -1,
  5,
  2 ** 32,
  2 ** 53,
  -(2 ** 40),
  0.5,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  '',
  'x'.repeat(5_000),
  '\u0000\uffff',
  new Uint8Array(0),
  new Uint8Array(300),
  [],
  [[]],
  {},
  { a: { b: [] } },
  ['', 0, 0],
  ['127.0.0.1', 5057, 716_540_891],
  ['127.0.0.1', -1, 0.5],
  new Date(0),
] as const;

function oddValue(dice: Dice): unknown {
  return ODD_VALUES[dice.below(ODD_VALUES.length)];
}

function oddCall(dice: Dice): Uint8Array {
  const params = Array.from({ length: dice.below(5) }, () => oddValue(dice));
  return encode([0, dice.below(2 ** 32), dice.pick(METHODS), params]);
}

const SHAPES: readonly [(dice: Dice) => Uint8Array, ...((dice: Dice) => Uint8Array)[]] = [
  // Noise.
  (dice) => dice.bytes(1 + dice.below(300)),
  // Well-formed calls with the wrong number and type of arguments.
  oddCall,
  (dice) => Buffer.concat(Array.from({ length: 1 + dice.below(20) }, () => oddCall(dice))),
  // Messages that are MessagePack and not RPC.
  (dice) => encode(oddValue(dice)),
  (dice) => encode(Array.from({ length: dice.below(6) }, () => oddValue(dice))),
  // Good calls with some bytes changed, or cut short.
  (dice) => {
    const bytes = Buffer.from(oddCall(dice));
    for (let i = 0; i <= dice.below(4); i++) bytes[dice.below(bytes.length)] = dice.below(256);
    return bytes;
  },
  (dice) => {
    const bytes = oddCall(dice);
    return bytes.subarray(0, dice.below(bytes.length));
  },
  // Promises of up to 4 GiB.
  (dice) =>
    Buffer.concat([
      Buffer.from([0x94, 0x00, 0x01]),
      Buffer.from([dice.pick([0xc6, 0xc9, 0xdb, 0xdd, 0xdf])]),
      dice.bytes(4),
      dice.bytes(dice.below(50)),
    ]),
  // Containers in containers, deep and wide.
  (dice) => Buffer.concat([Buffer.from([0x94, 0x00, 0x01, 0xa4]), Buffer.alloc(dice.below(20_000), 0x91)]),
  (dice) =>
    Buffer.concat([
      Buffer.from([0xdc, 0xff, 0xff]),
      Buffer.alloc(dice.below(9_000), dice.pick([0xc0, 0x90])),
    ]),
  // Handshakes that are almost right.
  (dice) => encode([0, 1, 'peer_hello', ['fuzz', 1, [dice.below(2 ** 32), 'i-1', 1], dice.bytes(16)]]),
  (dice) =>
    Buffer.concat([
      encode([0, 1, 'peer_hello', ['bench', 1, [1, 'i-1', 1], dice.bytes(16)]]),
      encode([0, 2, 'peer_prove', [dice.bytes(32)]]),
      encode([0, 3, 'ring.step', ['ping']]),
    ]),
  // Other protocols.
  () => Buffer.from('GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n'),
  () => Buffer.from('16030100a5010000a10303', 'hex'),
];

/** One hostile message or stream of messages. */
export function hostileInput(dice: Dice): Uint8Array {
  return dice.pick(SHAPES)(dice);
}
