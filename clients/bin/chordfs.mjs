#!/usr/bin/env node
// Runs the TypeScript sources as they are. The loader is registered inside this process rather than by a parent
// process of its own, which would stand between the terminal's signals and the cloud.
import { register } from 'tsx/esm/api';

register();
const { main } = await import('../chordfs.ts');
await main();
