import { clockwiseDistance, type Identifier, inArc, inOpenArc } from '../../domain/identifier.ts';
import { type CourseNode, isSameNode, nodeKey } from './course-node.ts';

/**
 * What a node of the course's protocol believes about the ring. Every change goes through here and is made in one
 * synchronous step; whoever asked before an `await` gives what it saw, and a change based on old news does nothing.
 *
 * As in Zave's corrected Chord: lists are cut off at self and hold nobody twice, a dead predecessor is kept as dead
 * until another replaces it, and nobody is adopted who was not just spoken to (the callers see to that).
 */

/** A successor and the three that it can tell of: survives three deaths in a row. */
const LIST_LENGTH = 4;
/** Nodes remembered for routing and for the day the list runs out. */
const MAX_KNOWN = 256;
/** For so long hearsay does not bring a node back that did not answer; its own word does at once. */
const BURIED_MS = 5_000;

export class CourseView {
  readonly self: CourseNode;
  #predecessor: CourseNode | undefined;
  #predecessorIsDead = false;
  /** Clockwise from self, nearest first; empty: alone. */
  #successors: readonly CourseNode[] = [];
  readonly #known = new Map<string, CourseNode>();
  readonly #buriedUntilMs = new Map<string, number>();

  constructor(self: CourseNode) {
    this.self = self;
  }

  get predecessor(): CourseNode | undefined {
    return this.#predecessorIsDead ? undefined : this.#predecessor;
  }

  get successors(): readonly CourseNode[] {
    return this.#successors;
  }

  /** Everybody worth asking, self excluded. */
  get known(): readonly CourseNode[] {
    return [...this.#known.values()];
  }

  /** Forgets the ring: about to join another. */
  restart(successor: CourseNode | undefined): void {
    this.#predecessor = undefined;
    this.#predecessorIsDead = false;
    this.#setSuccessors(successor === undefined ? [] : [successor]);
  }

  /** Whether the key is certainly this node's own. With no live predecessor only a lone node can tell. */
  isOwn(key: Identifier): boolean {
    if (this.#successors.length === 0) return true;
    return this.predecessor !== undefined && inArc(key, this.predecessor.id, this.self.id);
  }

  isCloserSuccessor(node: CourseNode): boolean {
    if (isSameNode(node, this.self)) return false;
    const [first] = this.#successors;
    return first === undefined || inOpenArc(node.id, this.self.id, first.id);
  }

  isCloserPredecessor(node: CourseNode): boolean {
    if (isSameNode(node, this.self)) return false;
    const current = this.predecessor;
    return current === undefined || inOpenArc(node.id, current.id, this.self.id);
  }

  /** `node` was spoken to just now. True when it became the successor. */
  adoptSuccessor(node: CourseNode): boolean {
    if (!this.isCloserSuccessor(node)) return false;
    this.#buriedUntilMs.delete(nodeKey(node));
    this.#setSuccessors([node, ...this.#successors]);
    return true;
  }

  /** `node` was spoken to just now. True when it became the predecessor. */
  adoptPredecessor(node: CourseNode): boolean {
    if (!this.isCloserPredecessor(node)) return false;
    this.#buriedUntilMs.delete(nodeKey(node));
    this.#predecessor = node;
    this.#predecessorIsDead = false;
    this.remember(node);
    return true;
  }

  /** `rest` is what `successor` told of those after it. False when it is not the successor any more. */
  adoptList(successor: CourseNode, rest: readonly CourseNode[]): boolean {
    const [first] = this.#successors;
    if (first === undefined || !isSameNode(first, successor)) return false;
    this.#setSuccessors([successor, ...rest]);
    return true;
  }

  /** It does not answer. True when anything changed. */
  drop(node: CourseNode): boolean {
    this.#known.delete(nodeKey(node));
    this.#bury(node);
    const isPredecessor = this.predecessor !== undefined && isSameNode(this.predecessor, node);
    if (isPredecessor) this.#predecessorIsDead = true;
    const left = this.#successors.filter((each) => !isSameNode(each, node));
    const wasSuccessor = left.length < this.#successors.length;
    this.#successors = left;
    return isPredecessor || wasSuccessor;
  }

  /** Of those that did not answer lately. */
  isBuried(node: CourseNode): boolean {
    return (this.#buriedUntilMs.get(nodeKey(node)) ?? 0) > performance.now();
  }

  remember(node: CourseNode): void {
    if (isSameNode(node, this.self) || this.isBuried(node)) return;
    if (this.#known.size >= MAX_KNOWN && !this.#known.has(nodeKey(node))) {
      const [oldest] = this.#known.keys();
      if (oldest !== undefined) this.#known.delete(oldest);
    }
    this.#known.set(nodeKey(node), node);
  }

  /** Those strictly between self and the key, the closest to the key first: each hop gets closer, so lookups end. */
  preceding(key: Identifier): CourseNode[] {
    return [...this.#known.values()]
      .filter((node) => inOpenArc(node.id, this.self.id, key))
      .sort((a, b) => clockwiseDistance(a.id, key) - clockwiseDistance(b.id, key));
  }

  #setSuccessors(nodes: readonly CourseNode[]): void {
    const list: CourseNode[] = [];
    let reached = 0;
    for (const node of nodes) {
      const distance = clockwiseDistance(this.self.id, node.id);
      // Back at self, or out of order: what follows was told by somebody with an older view.
      if (isSameNode(node, this.self) || distance <= reached || list.length >= LIST_LENGTH) break;
      if (this.isBuried(node)) continue;
      list.push(node);
      reached = distance;
    }
    this.#successors = list;
    for (const node of list) this.remember(node);
  }

  #bury(node: CourseNode): void {
    const nowMs = performance.now();
    for (const [key, untilMs] of this.#buriedUntilMs) if (untilMs <= nowMs) this.#buriedUntilMs.delete(key);
    this.#buriedUntilMs.set(nodeKey(node), nowMs + BURIED_MS);
  }
}
