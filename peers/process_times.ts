/** CPU time of other processes. @module */
import { readdirSync, readFileSync } from 'node:fs';

/** The kernel counts in hundredths of a second for user programs (`USER_HZ`), whatever its own clock is. */
const TICK_MS = 10;
/** Fields of /proc/PID/stat behind the name: proc_pid_stat(5). */
const [PARENT, USER, SYSTEM] = [1, 11, 12];

interface Process {
  readonly id: number;
  readonly parent: number;
  readonly cpuMs: number;
}

/**
 * CPU time of a process and all that it started, directly or not, in milliseconds; NaN where /proc does not tell, which
 * only Linux has.
 */
export function cpuTimeOf(root: number): number {
  const processes = readProcesses();
  const family = new Set([root]);
  let total = Number.NaN;
  for (let size = 0; size !== family.size;) {
    size = family.size;
    for (const { id, parent } of processes) if (family.has(parent)) family.add(id);
  }
  for (const { id, cpuMs } of processes) {
    if (family.has(id)) total = (Number.isNaN(total) ? 0 : total) + cpuMs;
  }
  return total;
}

function readProcesses(): readonly Process[] {
  try {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .flatMap((name) => readProcess(Number(name)));
  } catch {
    return [];
  }
}

function readProcess(id: number): readonly Process[] {
  let text: string;
  try {
    text = readFileSync(`/proc/${id}/stat`, 'utf8');
  } catch {
    return []; // It has ended meanwhile.
  }
  // The name, in parentheses, may hold anything.
  const fields = text
    .slice(text.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number);
  const at = (i: number): number => fields[i] ?? Number.NaN;
  return [{ id, parent: at(PARENT), cpuMs: (at(USER) + at(SYSTEM)) * TICK_MS }];
}
