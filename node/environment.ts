import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';
import { NODE_ENVIRONMENT } from '../domain/node-environment.ts';

/** The node's settings, checked. */
export interface NodeEnvironment {
  readonly stage: string;
  readonly tableName: string;
  readonly busName: string;
  readonly autoScalingGroupName: string;
  readonly launchHook: string;
  readonly terminateHook: string;
  readonly vpcCidr: string;
  readonly dataDirectory: string;
  readonly timeScale: number;
  readonly listen: readonly string[];
  readonly capacityBytes: number | undefined;
  readonly region: string;
  readonly metadataEndpoint: string | undefined;
}

type Variables = Readonly<Record<string, string | undefined>>;

/** A setting is missing or cannot be used; the message names it and says what it should be. */
export class SettingError extends Error {
  override readonly name = 'SettingError';
}

/** @throws SettingError for the first setting that is wrong. */
export function readNodeEnvironment(variables: Variables): NodeEnvironment {
  const text = (name: string): string => {
    const value = variables[name];
    if (value === undefined || value === '') throw new SettingError(`${name} is not set`);
    return value;
  };
  const positive = (name: string, fallback: number | undefined): number | undefined => {
    const value = variables[name];
    if (value === undefined || value === '') return fallback;
    const number = Number(value);
    if (!(Number.isFinite(number) && number > 0))
      throw new SettingError(`${name} must be a positive number, not "${value}"`);
    return number;
  };
  return {
    stage: text(NODE_ENVIRONMENT.stage),
    tableName: text(NODE_ENVIRONMENT.table),
    busName: text(NODE_ENVIRONMENT.bus),
    autoScalingGroupName: text(NODE_ENVIRONMENT.autoScalingGroupName),
    launchHook: text(NODE_ENVIRONMENT.launchHook),
    terminateHook: text(NODE_ENVIRONMENT.terminateHook),
    vpcCidr: cidr(NODE_ENVIRONMENT.vpcCidr, text(NODE_ENVIRONMENT.vpcCidr)),
    dataDirectory: text(NODE_ENVIRONMENT.dataDirectory),
    timeScale: positive(NODE_ENVIRONMENT.timeScale, 1) ?? 1,
    listen: addresses(NODE_ENVIRONMENT.listen, variables[NODE_ENVIRONMENT.listen] ?? '0.0.0.0'),
    capacityBytes: positive(NODE_ENVIRONMENT.capacityBytes, undefined),
    region: text('AWS_REGION'),
    metadataEndpoint: variables['AWS_EC2_METADATA_SERVICE_ENDPOINT'],
  };
}

function cidr(name: string, value: string): string {
  try {
    ipaddr.parseCIDR(value);
    return value;
  } catch {
    throw new SettingError(`${name} must be an address range such as 10.57.0.0/16, not "${value}"`);
  }
}

function addresses(name: string, value: string): readonly string[] {
  const list = value.split(',').map((part) => part.trim());
  for (const address of list) {
    if (isIP(address) === 0)
      throw new SettingError(`${name} must list IP addresses separated by commas, not "${value}"`);
  }
  return list;
}
