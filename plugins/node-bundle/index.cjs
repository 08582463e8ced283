// The Serverless framework loads plugins with require(); this one is TypeScript, so tsx loads it, as it loads the rest.
const { register } = require('tsx/cjs/api');

const unregister = register();
module.exports = require('./plugin.ts').NodeBundlePlugin;

unregister();
