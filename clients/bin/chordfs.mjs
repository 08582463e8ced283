#!/usr/bin/env node
// Runs the TypeScript sources as they are. The loader is registered inside this process rather than by a parent
// process of its own, which would stand between the terminal's signals and the cloud.
import { register } from 'tsx/esm/api';

// The SDK's notice about Node.js 20 is for those who maintain this project, not for those who run it.
process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] ??= 'true';
register();
const { main } = await import('../chordfs.ts');
await main();
