import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A folder of certificates made for one test file: `<name>.key`, `<name>.crt`, and both in `<name>.pem`. */
export class Certificates {
  readonly folder = mkdtempSync(join(tmpdir(), 'chordfs-tls-'));

  /** Self-signed, for the address that the tests' servers listen on. */
  make(name: string, address = '127.23.0.1'): void {
    const subject = ['-subj', `/CN=${name}`, '-addext', `subjectAltName=IP:${address}`];
    const files = ['-keyout', this.path(`${name}.key`), '-out', this.path(`${name}.crt`)];
    const kind = ['-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2'];
    execFileSync('openssl', ['req', ...kind, ...subject, ...files], { stdio: 'ignore' });
    const both =
      readFileSync(this.path(`${name}.key`), 'utf8') + readFileSync(this.path(`${name}.crt`), 'utf8');
    writeFileSync(this.path(`${name}.pem`), both);
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  read(name: string): Buffer {
    return readFileSync(this.path(name));
  }

  makeFolder(name: string): void {
    mkdirSync(this.path(name), { recursive: true });
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
