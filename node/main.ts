/** A placeholder until the parts of the node are put together: says that it runs, and stays up. */
process.stdout.write(`${JSON.stringify({ level: 'info', message: 'node started', pid: process.pid })}\n`);
const alive = setInterval(() => {}, 60_000);
process.once('SIGTERM', () => clearInterval(alive));
