import { decode, encode } from '@msgpack/msgpack';
import { type Identifier, isIdentifier } from '../../domain/identifier.ts';
import type { Member } from '../../domain/member.ts';
import { memberListCodec } from './message-codec.ts';

/** Small durable values; the store's settings fit. */
export interface Settings {
  getSetting(key: string): string | undefined;
  /** Durable when it resolves. */
  putSetting(key: string, value: string): Promise<void>;
}

/** What a restarted node remembers. */
export interface RememberedPlace {
  readonly ringId: string;
  readonly position: Identifier;
}

const INCARNATION = 'ring.incarnation';
const PLACE = 'ring.place';
const VIEW = 'ring.view';

/**
 * The incarnation of the life that begins now: one more than any before it on this disk. Durable before it is used,
 * so that no two lives share one.
 */
export async function nextIncarnation(settings: Settings): Promise<number> {
  const next = lastIncarnation(settings) + 1;
  await settings.putSetting(INCARNATION, String(next));
  return next;
}

function lastIncarnation(settings: Settings): number {
  const previous = Number(settings.getSetting(INCARNATION) ?? 0);
  return Number.isSafeInteger(previous) && previous >= 0 ? previous : 0;
}

/** Where this node was on the ring when it last was in one; undefined on a fresh disk. */
export function rememberedPlace(settings: Settings): RememberedPlace | undefined {
  const text = settings.getSetting(PLACE);
  if (text === undefined) return undefined;
  try {
    const { ringId, position } = JSON.parse(text) as Record<string, unknown>;
    return typeof ringId === 'string' && isIdentifier(position) ? { ringId, position } : undefined;
  } catch {
    return undefined;
  }
}

/** `incarnation`: the one the ring knows this life by, which may be higher than the one it began with. */
export async function rememberPlace(
  settings: Settings,
  { ringId, position, incarnation }: RememberedPlace & { readonly incarnation: number },
): Promise<void> {
  await settings.putSetting(INCARNATION, String(Math.max(incarnation, lastIncarnation(settings))));
  await settings.putSetting(PLACE, JSON.stringify({ ringId, position }));
}

/** The members of the last view: whom to ask after a restart, also when the member table is away. */
export function rememberedMembers(settings: Settings): readonly Member[] {
  const text = settings.getSetting(VIEW);
  if (text === undefined) return [];
  try {
    return memberListCodec.decode(decode(Buffer.from(text, 'base64')));
  } catch {
    return [];
  }
}

/** Keeps the latest view on disk; changes that come while one is being written are written as one. */
export class ViewKeeper {
  readonly #settings: Settings;
  #latest: readonly Member[] | undefined;
  #writing: Promise<void> | undefined;

  constructor(settings: Settings) {
    this.#settings = settings;
  }

  keep(members: readonly Member[]): void {
    this.#latest = members;
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined;
    });
  }

  async flush(): Promise<void> {
    await this.#writing;
  }

  async #write(): Promise<void> {
    while (this.#latest !== undefined) {
      const text = Buffer.from(encode(memberListCodec.encode(this.#latest))).toString('base64');
      this.#latest = undefined;
      // A view that cannot be kept costs a restarted node its shortcut, nothing else.
      await this.#settings.putSetting(VIEW, text).catch(() => undefined);
    }
  }
}
