/**
 * The environment of a node process: the contract between the template's user data, which writes it, and
 * `node/main.ts`, which reads it. On EC2 it is the file /etc/chordfs/node.env; the local cloud reads the same file
 * out of the packaged user data.
 */
export const NODE_ENVIRONMENT = {
  /** Stage of the deployment; prefixes every key in the table. */
  stage: 'CHORDFS_STAGE',
  table: 'CHORDFS_TABLE',
  /** The stage's own event bus, where the scaling log goes. */
  bus: 'CHORDFS_BUS',
  autoScalingGroupName: 'CHORDFS_ASG',
  launchHook: 'CHORDFS_LAUNCH_HOOK',
  terminateHook: 'CHORDFS_TERMINATE_HOOK',
  /** Callers from here are given private addresses, all others public ones. */
  vpcCidr: 'CHORDFS_VPC_CIDR',
  /** The data volume's mount point. */
  dataDirectory: 'CHORDFS_DATA_DIR',
  /** How many times faster than real time the control plane's clocks run: 1 on AWS. */
  timeScale: 'CHORDFS_TIME_SCALE',
  /** Addresses to listen on, separated by commas; default 0.0.0.0. */
  listen: 'CHORDFS_LISTEN',
  /** Use at most this much of the volume; default: all of it. */
  capacityBytes: 'CHORDFS_CAPACITY_BYTES',
} as const;

/** uploadserver's options by the names they have in a node's environment; a password must not stand in a command line. */
export const SERVER_VARIABLES = {
  /** `replace` (default), `rename` or `refuse`. */
  onConflict: 'CHORDFS_ON_CONFLICT',
  /** `light`, `auto` (default) or `dark`. */
  theme: 'CHORDFS_THEME',
  /** `user:password` for everything. */
  basicAuth: 'CHORDFS_BASIC_AUTH',
  /** `user:password` for changes. */
  basicAuthUpload: 'CHORDFS_BASIC_AUTH_UPLOAD',
  /** PEM file with certificate and private key. */
  serverCertificate: 'CHORDFS_SERVER_CERTIFICATE',
  /** PEM file with the certificate that clients must present. */
  clientCertificate: 'CHORDFS_CLIENT_CERTIFICATE',
  /** `on` (default) or `off`: one line for each request of a client. */
  accessLog: 'CHORDFS_ACCESS_LOG',
} as const;

export const CHORD_PORT = 5057;
export const HTTP_PORT = 5058;
