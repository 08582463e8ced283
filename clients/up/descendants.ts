import { readdirSync, readFileSync } from 'node:fs';

/** pid -> parent's pid of every process there is; empty where there is no /proc. */
function parents(): Map<number, number> {
  const found = new Map<number, number>();
  let names: string[];
  try {
    names = readdirSync('/proc');
  } catch {
    return found;
  }
  for (const name of names.filter((entry) => /^\d+$/.test(entry))) {
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
      // The second field is the command in parentheses and may itself hold spaces and parentheses.
      const parent = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1];
      found.set(Number(name), Number(parent));
    } catch {
      // It has ended since the folder was read.
    }
  }
  return found;
}

/** Every process below `root`, children before grandchildren, without `root` itself. */
export function descendantsOf(root: number): number[] {
  const parentOf = parents();
  const found = [root];
  for (const ancestor of found) {
    for (const [pid, parent] of parentOf) if (parent === ancestor) found.push(pid);
  }
  return found.slice(1);
}

/** Ends all of them at once and without asking: for when stopping in order takes too long or was interrupted. */
export function killDescendants(root: number, kill: (pid: number, signal: 'SIGKILL') => void): void {
  for (const pid of descendantsOf(root)) {
    try {
      kill(pid, 'SIGKILL');
    } catch {
      // Ended by itself in the meantime.
    }
  }
}
