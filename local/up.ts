import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type AccountOptions, openAccount } from './account.ts';
import type { CloudOptions } from './cloud.ts';
import { parameterValues } from './deployment.ts';
import { type LocalCloud, localCloud } from './local-cloud.ts';
import { deployPackage, TEMPLATE } from './package-deployment.ts';
import { Running } from './running.ts';
import type { ParameterValues } from './template/parameters.ts';
import { loadTemplate } from './template/template.ts';

/** `CloudOptions`, and what only tests choose. */
export interface StartOptions extends CloudOptions, AccountOptions {
  /** Where `sls package` left its output; default: the project's own `.serverless`. */
  readonly packageDirectory?: string | undefined;
  /** Default: the update template in the package directory. */
  readonly templatePath?: string | undefined;
  /** Over those that follow from the options. */
  readonly parameters?: ParameterValues | undefined;
}

async function start(options: StartOptions, signal: AbortSignal, running: Running): Promise<LocalCloud> {
  const packageDirectory = resolve(
    options.packageDirectory ?? fileURLToPath(new URL('../.serverless', import.meta.url)),
  );
  const template = await loadTemplate(options.templatePath ?? join(packageDirectory, TEMPLATE));
  const account = await openAccount(options, running);
  signal.throwIfAborted();
  const parameters = { ...parameterValues(template, options), ...options.parameters };
  const stack = await deployPackage(account, { packageDirectory, template, parameters });
  signal.throwIfAborted();
  return localCloud(account, stack);
}

/**
 * Starts the emulated cloud and deploys the packaged template into it. Returns once everything is created;
 * instances boot in the background (`whenReady`). A start that fails or is aborted leaves nothing running.
 * @throws Error fit to be shown: no package, a bad parameter, a taken port, an address that cannot be bound.
 */
export async function startCloud(
  options: StartOptions,
  signal: AbortSignal = new AbortController().signal,
): Promise<LocalCloud> {
  const running = new Running();
  try {
    return await start(options, signal, running);
  } catch (error) {
    await running.stop();
    throw error;
  }
}
