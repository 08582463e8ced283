import { setTimeout as pause } from 'node:timers/promises';
import { ChordfsError } from '../../domain/errors.ts';
import { clockwiseDistance, type Identifier, identifier, inArc, inOpenArc } from '../../domain/identifier.ts';
import { evidenceOf } from '../rpc/peer-evidence.ts';
import { CourseCalls } from './course-calls.ts';
import { type CourseNode, isSameNode, nodeKey } from './course-node.ts';
import { CourseView } from './course-view.ts';

export interface CourseRingOptions {
  readonly self: CourseNode;
  /** Between two rounds of maintenance while nothing changes. */
  readonly intervalMs: number;
}

/** After a change: this many rounds at this pace, so that it reaches everybody quickly. */
const EAGER_ROUNDS = 8;
const EAGER_MS = 200;
/** Successor lists and fingers change less often than successors do; with these a quiet node makes about 4 calls a round. */
const LIST_EVERY_ROUNDS = 3;
const FINGER_EVERY_ROUNDS = 4;
const FINGER_COUNT = 32;
/** Nodes that said `notify` and are being called back to see whether they exist. More are not listened to. */
const MAX_CALL_BACKS = 16;
const LOOKUP_ATTEMPTS = 8;
const LOOKUP_RETRY_MS = 100;
const JOIN_ATTEMPTS = 10;
const JOIN_RETRY_MS = 200;

/**
 * A node that speaks the course's methods and nothing else, as robust as they allow: broken connections and silence
 * are followed up at once, nobody is adopted unseen, and a lookup is confirmed with the node it ends at.
 */
export class CourseRing {
  readonly view: CourseView;
  readonly #calls: CourseCalls;
  readonly #intervalMs: number;
  readonly #callBacks = new Set<string>();
  readonly #introducedTo = new Set<string>();
  #isMember = false;
  #isStopped = false;
  #round = 0;
  #eagerRounds = 0;
  #predecessorHeardMs = 0;
  #finger = FINGER_COUNT - 1;
  #wake: () => void = () => undefined;
  #isMaintaining = false;

  constructor({ self, intervalMs }: CourseRingOptions) {
    this.view = new CourseView(self);
    this.#intervalMs = intervalMs;
    this.#calls = new CourseCalls((node) => this.#follow(this.#examine(node)));
  }

  get isMember(): boolean {
    return this.#isMember;
  }

  /** Starts a ring of one. Does nothing on a member: `upload.py` calls it before every upload. */
  create(): void {
    if (this.#isMember) return;
    this.#isMember = true;
    this.#maintain();
  }

  /**
   * Joins the ring of `contact`; resolves when the successor there has been told.
   * @throws ChordfsError `PEER_UNREACHABLE` when nobody there answers with a successor that lives.
   */
  async join(contact: CourseNode): Promise<void> {
    if (isSameNode(contact, this.view.self)) return this.create();
    const successor = await this.#findOwnPlace(contact);
    this.view.restart(successor);
    this.#introducedTo.clear();
    this.#isMember = true;
    this.view.remember(contact);
    this.#changed();
    await this.#stabilize();
    this.#maintain();
  }

  /** @throws ChordfsError `NODE_NOT_READY`, `PEER_UNREACHABLE` */
  async findSuccessor(id: Identifier): Promise<CourseNode> {
    for (let attempt = 0; attempt < LOOKUP_ATTEMPTS && !this.#isStopped; attempt++) {
      if (!this.#isMember) throw new ChordfsError('NODE_NOT_READY');
      const found = await this.#lookup(id);
      if (found !== undefined && !this.view.isBuried(found)) return found;
      await pause(LOOKUP_RETRY_MS);
    }
    throw new ChordfsError('PEER_UNREACHABLE', { key: id });
  }

  /** A node says that it may be our predecessor. It is called back before it is believed. */
  notified(by: CourseNode): void {
    if (!this.#isMember || isSameNode(by, this.view.self)) return;
    const { predecessor } = this.view;
    if (predecessor !== undefined && isSameNode(predecessor, by)) {
      this.#predecessorHeardMs = performance.now();
      return;
    }
    const key = nodeKey(by);
    if (this.#callBacks.has(key) || this.#callBacks.size >= MAX_CALL_BACKS) return;
    this.#callBacks.add(key);
    this.#follow(this.#callBack(by).finally(() => this.#callBacks.delete(key)));
  }

  stop(): void {
    this.#isStopped = true;
    this.#calls.close();
    this.#wake();
  }

  async #findOwnPlace(contact: CourseNode): Promise<CourseNode> {
    const { self } = this.view;
    for (let attempt = 0; attempt < JOIN_ATTEMPTS; attempt++) {
      try {
        const found = await this.#calls.findSuccessor(contact, self.id);
        // The ring still remembers an earlier life of this node: what follows it is the place.
        const successor =
          found !== undefined && isSameNode(found, self)
            ? await this.#calls.findSuccessor(contact, identifier(self.id + 1))
            : found;
        if (successor !== undefined && !isSameNode(successor, self) && (await this.#isHere(successor))) {
          return successor;
        }
      } catch (error) {
        if (evidenceOf(error) === 'refused') throw error;
      }
      await pause(JOIN_RETRY_MS);
    }
    throw new ChordfsError('PEER_UNREACHABLE', { host: contact.ip, port: contact.port });
  }

  async #callBack(by: CourseNode): Promise<void> {
    const isWanted = this.view.isCloserSuccessor(by) || this.view.isCloserPredecessor(by);
    if (!isWanted) {
      // Rectify: a notifier farther away is adopted only if the present predecessor is dead.
      const { predecessor } = this.view;
      if (predecessor !== undefined) await this.#examine(predecessor);
    }
    if (!(await this.#isHere(by))) return;
    if (this.view.adoptPredecessor(by)) {
      this.#predecessorHeardMs = performance.now();
      this.#changed();
    }
    // A newcomer introduces itself to the node before it as well; and a lone node follows whoever finds it.
    if (this.view.adoptSuccessor(by)) this.#changed();
  }

  async #isHere(node: CourseNode): Promise<boolean> {
    try {
      return (await this.#calls.info(node))?.id === node.id;
    } catch {
      return false;
    }
  }

  /** Something is odd about that node: drop it if it does not answer. True when it is there. */
  async #examine(node: CourseNode): Promise<boolean> {
    const isAlive = await this.#calls.isAlive(node);
    if (!isAlive && !this.#isStopped && this.view.drop(node)) this.#changed();
    return isAlive;
  }

  #changed(): void {
    this.#eagerRounds = EAGER_ROUNDS;
    this.#wake();
  }

  #follow(work: Promise<unknown>): void {
    // Everything in here ends in a changed view or in nothing; calls that fail have been seen to where they were made.
    work.catch(() => undefined);
  }

  #maintain(): void {
    if (this.#isMaintaining) return;
    this.#isMaintaining = true;
    this.#follow(this.#maintainForever());
  }

  async #maintainForever(): Promise<void> {
    while (!this.#isStopped) {
      await this.#stabilize().catch(() => undefined);
      this.#round += 1;
      const isEager = this.#eagerRounds > 0;
      if (isEager) this.#eagerRounds -= 1;
      await this.#rest(isEager ? Math.min(EAGER_MS, this.#intervalMs) : this.#intervalMs);
    }
  }

  #rest(restMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, restMs);
      this.#wake = () => {
        // Not at once: several changes in a row are one.
        clearTimeout(timer);
        setTimeout(resolve, Math.min(restMs, EAGER_MS / 10));
      };
      if (this.#isStopped) this.#wake();
    });
  }

  /** One round: successor, its predecessor, its list, notify; then the predecessor, and now and then a finger. */
  async #stabilize(): Promise<void> {
    const successor = await this.#liveSuccessor();
    if (successor !== undefined) {
      const between = await this.#calls.predecessor(successor);
      if (between !== undefined) await this.#consider(between, successor);
      const [current] = this.view.successors;
      if (current === undefined) return;
      if (this.#eagerRounds > 0 || this.#round % LIST_EVERY_ROUNDS === 0) await this.#copyList(current);
      await this.#calls.notify(current, this.view.self);
    }
    await this.#checkPredecessor();
    if (this.#eagerRounds > 0 || this.#round % FINGER_EVERY_ROUNDS === 0) await this.#fixFinger();
  }

  /** The first successor that answers; those before it are dropped. Undefined when this node is alone. */
  async #liveSuccessor(): Promise<CourseNode | undefined> {
    for (let [first] = this.view.successors; first !== undefined; [first] = this.view.successors) {
      if (this.#isStopped) return undefined;
      if (await this.#examine(first)) return first;
    }
    // The list is exhausted: whoever else is known and alive, nearest clockwise first.
    const { self, known } = this.view;
    const clockwise = [...known].sort(
      (a, b) => clockwiseDistance(self.id, a.id) - clockwiseDistance(self.id, b.id),
    );
    for (const node of clockwise) {
      if ((await this.#examine(node)) && this.view.adoptSuccessor(node)) {
        this.#changed();
        return node;
      }
    }
    return undefined;
  }

  /** What our successor takes for its predecessor: closer to us, or the one before us, or dead. */
  async #consider(between: CourseNode, successor: CourseNode): Promise<void> {
    const { self } = this.view;
    if (isSameNode(between, self)) return;
    if (inOpenArc(between.id, self.id, successor.id)) {
      if ((await this.#isHere(between)) && this.view.adoptSuccessor(between)) this.#changed();
      return;
    }
    // It is before us and does not know us yet. Once is enough; stabilization would tell it anyway, later.
    if (this.#introducedTo.has(nodeKey(between)) || this.#introducedTo.size > 0) return;
    this.#introducedTo.add(nodeKey(between));
    this.#follow(this.#calls.notify(between, self));
  }

  async #copyList(successor: CourseNode): Promise<void> {
    const before = this.view.successors.map(nodeKey).join();
    const rest = await Promise.all(([0, 1, 2] as const).map((i) => this.#calls.successor(successor, i)));
    const told = rest.flatMap((node) => (node === undefined ? [] : [node]));
    const isAdopted = this.view.adoptList(successor, told);
    if (isAdopted && this.view.successors.map(nodeKey).join() !== before) this.#changed();
  }

  async #checkPredecessor(): Promise<void> {
    const { predecessor } = this.view;
    if (predecessor === undefined) return;
    if (performance.now() - this.#predecessorHeardMs < 2 * this.#intervalMs) return;
    if (await this.#examine(predecessor)) this.#predecessorHeardMs = performance.now();
  }

  /** Fingers only shorten the way; the node found is remembered among all others. */
  async #fixFinger(): Promise<void> {
    const { self, successors } = this.view;
    const [successor] = successors;
    if (successor === undefined) return;
    const start = identifier(self.id + 2 ** this.#finger);
    // Nearer fingers all are the successor.
    const isOwn = inArc(start, self.id, successor.id);
    this.#finger = isOwn || this.#finger === 0 ? FINGER_COUNT - 1 : this.#finger - 1;
    if (isOwn) return;
    const found = await this.#lookup(start);
    if (found !== undefined) this.view.remember(found);
  }

  async #lookup(id: Identifier): Promise<CourseNode | undefined> {
    const { self } = this.view;
    if (this.view.isOwn(id)) return self;
    const [successor] = this.view.successors;
    if (successor !== undefined && inArc(id, self.id, successor.id)) return this.#confirm(id, successor);
    for (const node of this.view.preceding(id).slice(0, LOOKUP_ATTEMPTS)) {
      try {
        const found = await this.#calls.findSuccessor(node, id);
        if (found !== undefined) return found;
      } catch (error) {
        // An error for an answer: that node is alive and lost, another may know. No answer: look into it.
        const evidence = evidenceOf(error);
        if (evidence === undefined || evidence === 'local') continue;
        if (evidence === 'refused') this.view.drop(node);
        this.#follow(this.#examine(node));
      }
    }
    return undefined;
  }

  /** Asks the successor whom it takes for its predecessor: it lives, and nobody has come between. */
  async #confirm(id: Identifier, successor: CourseNode): Promise<CourseNode | undefined> {
    try {
      const between = await this.#calls.predecessor(successor);
      const isBetween = between !== undefined && inOpenArc(between.id, this.view.self.id, successor.id);
      if (!isBetween || !inArc(id, this.view.self.id, between.id)) return successor;
      return (await this.#isHere(between)) ? between : successor;
    } catch (error) {
      if (evidenceOf(error) === undefined) return successor;
      await this.#examine(successor);
      return undefined;
    }
  }
}
