/**
 * Loaded into every node process of the local cloud before its own code (`node --import`): ends the process when the
 * cloud that started it is gone, however it ended. File descriptor 3 is a pipe that nobody writes to; its end means
 * that the other side has died. The product knows nothing of it.
 */
import { Socket } from 'node:net';

const LIFELINE_FD = 3;

const lifeline = new Socket({ fd: LIFELINE_FD, readable: true, writable: false });
lifeline.on('error', () => process.kill(process.pid, 'SIGKILL'));
lifeline.on('close', () => process.kill(process.pid, 'SIGKILL'));
lifeline.resume();
// Waiting for the end of the world must not keep a finished process alive.
lifeline.unref();
