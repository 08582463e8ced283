/** EC2 refuses more than 16 KiB before Base64; some room is kept for values that are longer than their placeholders. */
const LONGEST_BYTES = 15 * 1024;

/**
 * The launch template's UserData: the cloud-config with our values put in, CloudFormation's left to `Fn::Sub`.
 * @throws when a value is missing from the text (a renamed placeholder), or the text is too long for EC2.
 */
export function userDataOf(text: string, values: Readonly<Record<string, string>>): unknown {
  if (!text.startsWith('#cloud-config\n')) throw new Error('user data must begin with #cloud-config');
  // The commentary at the top of the file is for its readers, not for every instance.
  let filled = text.replace(/^#cloud-config\n(#.*\n)*/, '#cloud-config\n');
  for (const [name, value] of Object.entries(values)) {
    const placeholder = `\${${name}}`;
    if (!filled.includes(placeholder)) throw new Error(`user data does not use ${placeholder}`);
    filled = filled.replaceAll(placeholder, value);
  }
  if (Buffer.byteLength(filled) > LONGEST_BYTES) {
    throw new Error(`user data has ${Buffer.byteLength(filled)} bytes, more than ${LONGEST_BYTES}`);
  }
  return { 'Fn::Base64': { 'Fn::Sub': filled } };
}
